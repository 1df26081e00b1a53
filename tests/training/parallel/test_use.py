"""While it trains, a model that is laid out over processes can be used like any other: scored, and asked for text."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from gloo import together
from parity_cases import CONTEXT, EVERY, SPECIALS, VOCABULARY

from seedstock.models.generate import generate
from seedstock.training.configs.parallel import ParallelConfig
from seedstock.training.parallel.layouts import gathered, spread
from seedstock.training.parallel.world import World
from seedstock.training.passing import Pass

LAYOUTS = ({"shard": 2}, {"tensor": 2}, {"pipeline": 2})


def used(name: str, parallel: dict[str, int] | None) -> tuple[torch.Tensor, list[int]]:
    """Logits of a text of odd length, and what the model writes after it."""
    nets, objective = EVERY[name]().build()
    passing, config = Pass(nets, objective), ParallelConfig(**parallel or {})
    spread(passing, World.of(config, torch.device("cpu")) if parallel else World(), config)
    with torch.no_grad():  # trained since it was laid out
        for key, parameter in nets.named_parameters():
            parameter.mul_(1 + len(key) / 100)
    nets.eval()
    tokens = torch.arange(SPECIALS, SPECIALS + CONTEXT - 5) % VOCABULARY
    with torch.no_grad(), gathered(passing):
        logits = nets["network"](tokens[None])
        return logits, generate(nets["network"], tokens[:4].tolist(), 6, seed=1, temperature=0.0)


def work(rank: int, names: list[str]) -> Any:
    return {(name, str(layout)): used(name, layout) for name in names for layout in LAYOUTS}


@pytest.mark.slow
def test_logits_and_text_are_those_of_one_process() -> None:
    names = ["decoder", "decoder with biases", "experts", "untied"]
    for found in together(work, 2, names):
        for (name, layout), (logits, text) in found.items():
            theirs, written = used(name, None)
            torch.testing.assert_close(logits, theirs, rtol=1e-4, atol=1e-5, msg=f"{name} {layout}")
            assert text == written
