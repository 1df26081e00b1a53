"""The loss by source: its sums are those of the whole, and it is told from where training reads it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from seedstock.models.configs.decoder import DecoderConfig
from seedstock.objectives.base import Spec, assemble
from seedstock.objectives.by_source import BySource, ratios
from seedstock.objectives.configs.causal import CausalConfig
from seedstock.training.gradients import accumulate

STRATA = [SimpleNamespace(stratum=number, source=name) for number, name in enumerate(["books", "code", "books"])]


def spec(strata, **more):
    return Spec(vocab_size=64, context=8, shards=SimpleNamespace(strata=lambda split: strata), **more)


@pytest.mark.parametrize("size", [6, 2])
def test_sources_add_up_to_the_loss_of_all_whatever_the_micro_batches(size):
    torch.manual_seed(0)
    config = DecoderConfig(width=32, layers=1, heads=2, context=8)
    network, objective = config.build(64), CausalConfig().build(spec(STRATA, model=config.resolved()))
    documents = torch.zeros(6, 9, dtype=torch.long)
    documents[1, 5:] = 1
    batch = {
        "examples": torch.arange(6),
        "strata": torch.tensor([0, 1, 2, 1, 0, 0]),
        "tokens": torch.randint(0, 64, (6, 9)),
        "documents": documents,
        "positions": torch.arange(9).repeat(6, 1),
    }
    nets = assemble(network, objective)
    step = accumulate(nets, objective, batch, batch["examples"].numpy(), size=size, seed=1)
    metrics = {name: float(value) for name, value in step.metrics.items()}
    assert metrics["terms@books"] + metrics["terms@code"] == pytest.approx(1)
    assert metrics["nats@books"] + metrics["nats@code"] == pytest.approx(float(step.loss), rel=1e-5)
    alone = {name: value[[1, 3]] if len(value) == 6 else value for name, value in batch.items()}
    code = accumulate(nets, objective, alone, alone["examples"].numpy(), size=size, seed=1)
    shown = ratios(metrics)
    assert shown["nats.code"] == pytest.approx(float(code.loss), rel=1e-5) and set(shown) == {"nats.code", "nats.books"}
    assert set(ratios({name: float(value) for name, value in code.metrics.items()})) == {"nats.code"}


def test_one_source_is_the_loss_itself_and_many_are_not_told():
    same = [SimpleNamespace(stratum=number, source="books") for number in range(3)]
    many = [SimpleNamespace(stratum=number, source=str(number)) for number in range(40)]
    assert not BySource(spec(same)).names and not BySource(spec(many)).names and not BySource(None).names
    assert ratios({"accuracy": 0.5}) == {"accuracy": 0.5}
