"""Compiled or not, the network computes the same, and every layer shares one program."""

from __future__ import annotations

import shutil

import pytest
import torch
from small_networks import VOCABULARY, lively, packed

from seedstock.objectives.base import assemble
from seedstock.objectives.configs.causal import CausalConfig


def step(network, batch):
    objective = CausalConfig().build()
    nets = assemble(network, objective)
    network.zero_grad()
    sums, _ = objective.loss(nets, network.backbone(**objective.inputs(nets, batch)), batch)
    (sums["causal"] / objective.counts(batch)["causal"]).backward()
    return {name: parameter.grad.clone() for name, parameter in network.named_parameters()}


@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="the compiler needs a C++ compiler")
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.1)])
def test_compiled_gradients_equal_eager_ones(dtype, tolerance):
    from torch._dynamo.testing import CompileCounterWithBackend

    network, batch = lively(layers=10, dropout=0.2).train(), packed()
    eager = step(network, batch)
    network.use(dtype)
    counter = CompileCounterWithBackend("inductor")
    network.compile(backend=counter, fullgraph=True)
    compiled = step(network, batch)
    assert counter.frame_count == 1
    for name, gradient in eager.items():
        assert (compiled[name] - gradient).norm() <= tolerance * gradient.norm() + 1e-8, name
    text = network.eval()(batch["tokens"])
    assert text.shape == (*batch["tokens"].shape, VOCABULARY)
