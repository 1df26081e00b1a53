"""A loss that compares the examples of a batch has the same gradients under any split into micro-batches."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from small_run import BATCH, SmallLoader, small_network
from torch import nn

from seedstock.models.mask import Mask
from seedstock.objectives.base import Objective, assemble
from seedstock.training import batches
from seedstock.training.gradients import accumulate


class Scale(nn.Module):
    """A parameter inside of the comparison."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([2.0]))

    def roles(self):
        return {"scale": "vector"}


class Halves(Objective):
    """Which first half of a window belongs to which second half (van den Oord et al. 2018, InfoNCE)."""

    coupling = "batch"

    def nets(self):
        return {"temperature": Scale()}

    def counts(self, batch):
        return {"pairs": torch.tensor(len(batch["examples"]))}

    def inputs(self, nets, batch):
        half, found = batch["tokens"].shape[1] // 2, []
        for rows in (slice(0, half), slice(half, 2 * half)):
            positions = torch.arange(half)[None]
            x = nets["network"].embed(batch["tokens"][:, rows], positions, batch["examples"])
            found.append({"x": x, "positions": positions, "attention": Mask("causal"), "examples": batch["examples"]})
        return found

    def represent(self, nets, output, batch):
        first, second = (F.normalize(one.hidden.mean(1).float(), dim=-1) for one in output)
        return {"first": first, "second": second, "example": batch["examples"]}

    def couple(self, nets, represented):
        scores = represented["first"] @ represented["second"].T * nets["temperature"].scale
        wanted = torch.arange(len(scores))
        right = (scores.argmax(1) == wanted).sum()
        return {"pairs": F.cross_entropy(scores, wanted, reduction="sum")}, {"right": right}


@pytest.fixture
def made():
    network, objective, arrays = small_network(), Halves(), SmallLoader().batch(0)
    return assemble(network, objective).train(), objective, arrays


def gradients(nets, objective, arrays, size):
    nets.zero_grad(set_to_none=True)
    batch = batches.tensors(arrays, torch.device("cpu"))
    step = accumulate(nets, objective, batch, arrays["examples"], size=size, seed=1)
    return step, {name: p.grad.clone() for name, p in nets.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("size", [1, 2, 4])
def test_micro_batches_change_nothing(made, size):
    whole, exact = gradients(*made, BATCH)
    split, found = gradients(*made, size)
    assert exact["temperature.scale"].any() and found.keys() == exact.keys()
    for name, gradient in exact.items():
        assert (found[name] - gradient).norm() <= 1e-5 * gradient.norm() + 1e-9, name
    torch.testing.assert_close(split.losses["pairs"], whole.losses["pairs"], rtol=1e-6, atol=0)
    torch.testing.assert_close(split.metrics["right"], whole.metrics["right"])
    assert split.positions == whole.positions


def test_examples_of_other_micro_batches_are_compared(made):
    """A sum of micro-batches would not compare them, and is smaller."""
    nets, objective, arrays = made
    whole, _ = gradients(nets, objective, arrays, BATCH)
    alone = 0.0
    for part in batches.split(batches.tensors(arrays, torch.device("cpu")), 2):
        output = [nets["network"].backbone(**one) for one in objective.inputs(nets, part)]
        alone += float(objective.loss(nets, output, part)[0]["pairs"].detach()) / BATCH
    assert alone < 0.9 * float(whole.loss)
