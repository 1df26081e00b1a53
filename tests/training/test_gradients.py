"""The gradient of a batch does not depend on how it is cut up."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from small_run import BATCH, CONTEXT, SmallLoader, small_network

from seedstock.objectives.base import assemble
from seedstock.objectives.causal import targets
from seedstock.objectives.configs.causal import CausalConfig
from seedstock.training import batches
from seedstock.training.gradients import accumulate


def gradients(size, step=0, dtype=torch.float32, **changes):
    network = small_network(**changes).use(dtype)
    objective = CausalConfig().build()
    arrays = SmallLoader().batch(step)
    batch = batches.tensors(arrays, torch.device("cpu"))
    values = accumulate(assemble(network, objective), objective, batch, arrays["examples"], size=size, seed=1)
    return values, {name: p.grad for name, p in network.named_parameters()}


@settings(max_examples=12, deadline=None)
@given(st.integers(1, BATCH), st.integers(0, 50))
def test_equal_under_any_split(size, step):
    whole, expected = gradients(BATCH, step)
    cut, found = gradients(size, step)
    assert torch.allclose(whole.loss, cut.loss, rtol=1e-5)
    for name, gradient in expected.items():
        scale = gradient.abs().max()
        assert scale > 0 or "attention" in name
        assert (found[name] - gradient).abs().max() <= 2e-5 * scale, name


def test_equal_to_the_mean_over_all_predicted_tokens():
    values, found = gradients(2, dropout=0.0)
    network = small_network(dropout=0.0)
    batch = batches.tensors(SmallLoader().batch(0), torch.device("cpu"))
    cut = {name: batch[name][:, :-1] for name in ("tokens", "positions", "documents")}
    logits = network(cut["tokens"], cut["positions"], cut["documents"])
    wanted = targets(batch)
    loss = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=-1)
    loss.backward()
    assert torch.allclose(values.loss, loss, rtol=1e-5)
    for name, p in network.named_parameters():
        assert (p.grad - found[name]).abs().max() <= 2e-5 * p.grad.abs().max(), name


def test_bf16_is_near_fp32_whatever_lay_in_memory_before():
    _, exact = gradients(BATCH)
    for _ in range(3):
        left = [torch.full((count,), float("nan")) for count in (10**3, 10**4, 10**5, 10**6)]
        del left
        _, rough = gradients(BATCH, dtype=torch.bfloat16)
        for name, gradient in exact.items():
            assert (rough[name] - gradient).norm() <= 0.1 * gradient.norm(), name


def test_examples_with_fewer_terms_do_not_weigh_more():
    """A mean of micro-batch means would differ: documents are cut at different places, so the counts are uneven."""
    batch = batches.tensors(SmallLoader().batch(0), torch.device("cpu"))
    counts = [int((targets(part) >= 0).sum()) for part in batches.split(batch, 1)]
    assert len(set(counts)) > 1


def test_digests_of_a_loader_without_any_tell_examples_apart():
    arrays = SmallLoader().batch(0)
    found = batches.digests(arrays)
    assert found.shape == (BATCH, 16) and len(np.unique(found, axis=0)) == BATCH
    changed = {**arrays, "tokens": arrays["tokens"].copy()}
    changed["tokens"][2, 3] += 1
    differs = (batches.digests(changed) != found).any(1)
    assert differs.tolist() == [False, False, True, False, False, False]


def test_the_work_of_several_passes_is_that_of_each():
    from seedstock.training import measure

    class Twice(type(CausalConfig().build())):
        """Reads the first half of a window, and then all of it twice, for one loss."""

        def inputs(self, nets, batch):
            half = {name: batch[name][:, : CONTEXT // 2 + 1] for name in ("tokens", "documents", "positions")}
            whole = super().inputs(nets, batch)
            return [super().inputs(nets, half), whole, whole]

        def loss(self, nets, output, batch):
            return super().loss(nets, output[-1], batch)

    network, arrays = small_network(dropout=0.0), SmallLoader().batch(0)
    objective, batch = Twice(), batches.tensors(arrays, torch.device("cpu"))
    values = accumulate(assemble(network, objective), objective, batch, arrays["examples"], size=2, seed=1)
    assert values.passes == ((2, CONTEXT // 2, 0), (2, CONTEXT, 0), (2, CONTEXT, 0))
    assert values.positions == BATCH * (CONTEXT // 2 + 2 * CONTEXT)
    work = sum(BATCH * length * measure.flops_a_token(network, length) for _, length, _ in values.passes)
    assert measure.flops_of(network, values.passes) * values.positions == pytest.approx(work)
