"""A loss that compares the examples of a batch has the same gradients under any split into micro-batches."""

from __future__ import annotations

import pytest
import torch
from halves import Halves
from small_run import BATCH, SmallLoader, small_network

from seedstock.objectives.base import assemble
from seedstock.training import batches
from seedstock.training.gradients import accumulate


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
