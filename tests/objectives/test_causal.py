"""Next-token prediction: the right targets, the right gradients, the same under any split of a batch."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent.parent / "models"))
from small_networks import SHAPES, VOCABULARY, lively, packed, small

from seedstock.errors import RecipeError
from seedstock.objectives import cross_entropy
from seedstock.objectives.base import Spec, assemble
from seedstock.objectives.causal import targets
from seedstock.objectives.configs.causal import CausalConfig
from seedstock.objectives.configs.prefix import PrefixConfig


def gradients(network, batch, sizes, z_loss=0.0):
    """Loss and gradients of a whole batch, made from micro-batches of these sizes."""
    objective = CausalConfig(z_loss=z_loss).build()
    nets = assemble(network, objective)
    network.zero_grad()
    count, loss, row = objective.counts(batch)["causal"], 0.0, 0
    for size in sizes:
        part = {name: value[row : row + size] for name, value in batch.items()}
        output = network.backbone(**objective.inputs(nets, part))
        sums, _ = objective.loss(nets, output, part)
        (sums["causal"] / count).backward()
        loss, row = loss + float(sums["causal"].detach() / count), row + size
    return loss, {name: parameter.grad.clone() for name, parameter in network.named_parameters()}


@pytest.mark.parametrize("shape", SHAPES)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.sampled_from([0.0, 0.2]))
@settings(max_examples=6, deadline=None)
def test_any_split_into_micro_batches_gives_the_same_gradients(shape, sizes, dropout):
    network = lively(shape, dropout=dropout).train()
    batch = packed(batch=sum(sizes))
    loss, whole = gradients(network, batch, [sum(sizes)])
    again, split = gradients(network, batch, sizes)
    assert again == pytest.approx(loss, rel=1e-6)
    for name, gradient in whole.items():
        assert (split[name] - gradient).norm() <= 1e-6 * gradient.norm() + 1e-9, name


def test_gradients_are_those_of_the_formula():
    network, batch = lively(), packed()
    _, found = gradients(network, batch, [2, 2])
    network.zero_grad()
    logits = network(batch["tokens"][:, :-1], batch["positions"][:, :-1], batch["documents"][:, :-1])
    inside = batch["documents"][:, 1:] == batch["documents"][:, :-1]
    F.cross_entropy(logits[inside], batch["tokens"][:, 1:][inside]).backward()
    for name, parameter in network.named_parameters():
        assert (found[name] - parameter.grad).norm() <= 1e-5 * parameter.grad.norm() + 1e-9, name


def test_targets_end_at_documents_and_at_padding():
    batch = {"tokens": torch.arange(10, 18)[None], "documents": torch.tensor([[0, 0, 0, 1, 1, -1, -1, -1]])}
    assert targets(batch).tolist() == [[11, 12, -1, 14, -1, -1, -1]]
    assert int(CausalConfig().build().counts(batch)["causal"]) == 3


@pytest.mark.parametrize("shape", SHAPES)
def test_the_first_loss_is_as_expected(shape):
    network = small(shape, width=64, heads=4).build(1024).train()
    objective = CausalConfig().build()
    batch = packed(batch=4, length=49, vocabulary=1024)
    nets = assemble(network, objective)
    sums, _ = objective.loss(nets, network.backbone(**objective.inputs(nets, batch)), batch)
    expectation = objective.expect(Spec(vocab_size=1024, context=48))
    first = float(sums["causal"].detach() / objective.counts(batch)["causal"])
    assert expectation.first == {"causal": math.log(1024)}
    assert first == pytest.approx(math.log(1024), rel=expectation.tolerance)


def test_it_learns_one_batch_by_heart():
    network, batch = small().build(VOCABULARY).train(), packed()
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    for _ in range(80):
        loss, _ = gradients(network, batch, [4])
        optimizer.step()
    assert loss < 0.1


@given(
    st.integers(1, 50),
    st.sampled_from([3, 17, 64]),
    st.sampled_from([0.0, 1e-2]),
    st.sampled_from([8, 64, 2**20]),
    st.booleans(),
    st.booleans(),
    st.integers(0, 2**31),
)
@settings(max_examples=40, deadline=None)
def test_cross_entropy_in_pieces_equals_the_formula(rows, vocabulary, z_loss, piece, biased, weighted, seed):
    random = torch.Generator().manual_seed(seed)
    hidden = torch.randn(rows, 8, generator=random, dtype=torch.float64).requires_grad_()
    weight = torch.randn(vocabulary, 8, generator=random, dtype=torch.float64).requires_grad_()
    bias = torch.randn(vocabulary, generator=random, dtype=torch.float64).requires_grad_() if biased else None
    weights = torch.rand(rows, generator=random) if weighted else None
    learned = [hidden, weight, *([bias] if biased else [])]
    wanted = torch.randint(-1, vocabulary, (rows,), generator=random)
    kept = cross_entropy._LOGITS, cross_entropy._BLOCK
    cross_entropy._LOGITS, cross_entropy._BLOCK = piece * vocabulary, piece
    try:
        total, nats = cross_entropy.linear_cross_entropy(hidden, weight, wanted, z_loss, bias, weights)
        found = torch.autograd.grad(total * 0.7, learned)
        with torch.no_grad():
            alone, _ = cross_entropy.linear_cross_entropy(hidden, weight, wanted, z_loss, bias, weights)
    finally:
        cross_entropy._LOGITS, cross_entropy._BLOCK = kept
    logits = hidden @ weight.t() + (bias if biased else 0)
    scale = (wanted >= 0) * (weights if weighted else 1)
    each = F.cross_entropy(logits, wanted, reduction="none", ignore_index=-1)
    true = (each * scale).sum() + z_loss * (torch.logsumexp(logits, -1).square() * scale).sum()
    torch.testing.assert_close(nats.double(), each, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(total.double(), true, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(alone, total, rtol=1e-5, atol=1e-4)
    for mine, expected in zip(found, torch.autograd.grad(true * 0.7, learned), strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-4, atol=1e-5)


def test_unlikely_targets_and_large_logits_stay_finite():
    hidden = torch.tensor([[300.0], [-300.0]], requires_grad=True)
    weight = torch.tensor([[1.0], [-1.0], [0.0]], requires_grad=True)
    total, nats = cross_entropy.linear_cross_entropy(hidden, weight, torch.tensor([1, 1]))
    assert nats.tolist() == pytest.approx([600.0, 0.0])
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(total, (hidden, weight)))


def test_z_loss_is_trained_on_and_not_reported_as_nats():
    network, batch = lively(), packed()
    plain, with_z = CausalConfig().build(), CausalConfig(z_loss=0.01).build()
    nets = assemble(network, plain)
    output = network.backbone(**plain.inputs(nets, batch))
    (sums, _), (larger, metrics) = plain.loss(nets, output, batch), with_z.loss(nets, output, batch)
    assert larger["causal"] > sums["causal"] + 1
    torch.testing.assert_close(metrics["nats"], sums["causal"].detach())
    assert not metrics["nats"].requires_grad


def test_a_batch_without_targets_has_no_loss_and_no_gradient():
    network = lively()
    batch = packed(batch=1, length=4) | {"documents": torch.arange(4)[None]}
    objective = CausalConfig().build()
    nets = assemble(network, objective)
    sums, _ = objective.loss(nets, network.backbone(**objective.inputs(nets, batch)), batch)
    sums["causal"].backward()
    assert sums["causal"].item() == 0
    assert not any(parameter.grad.any() for parameter in network.parameters())


SPECIALS = {"bos": 0, "code_0": 3, "code_1": 4, "image": 5}


def weighted(**weights):
    return CausalConfig(token_weights=weights).build(Spec(vocab_size=VOCABULARY, context=16, specials=SPECIALS))


def test_the_loss_is_the_weighted_mean_of_what_each_target_costs():
    network, batch = lively(), packed(batch=6)
    objective = weighted(**{"code_1": 0.5, "code_*": 0.25, "image": 0.0})
    nets = assemble(network, objective)
    output = network.backbone(**objective.inputs(nets, batch))
    sums, metrics = objective.loss(nets, output, batch)
    wanted = targets(batch).flatten()
    inside = wanted >= 0
    logits = output.hidden.flatten(0, 1)[inside] @ network.head.matrix.T
    each = torch.nn.functional.cross_entropy(logits, wanted[inside], reduction="none")
    weights = torch.ones(VOCABULARY)
    weights[[3, 4, 5]] = torch.tensor([0.25, 0.5, 0.0])  # the first pattern that fits
    assert {3, 4, 5} <= set(wanted.tolist())
    own = weights[wanted[inside]]
    counts = objective.counts(batch)
    torch.testing.assert_close(sums["causal"], (own * each).sum())
    assert counts["causal"].item() == pytest.approx(own.sum().item())
    torch.testing.assert_close(metrics["nats"] / counts["nats"], each.mean().detach())


def test_weights_of_one_change_nothing():
    network, batch = lively(), packed()
    found = []
    for objective in (CausalConfig().build(), weighted(**{"code_*": 1.0})):
        nets = assemble(network, objective)
        sums, _ = objective.loss(nets, network.backbone(**objective.inputs(nets, batch)), batch)
        found.append(sums["causal"] / objective.counts(batch)["causal"])
    torch.testing.assert_close(*found)


def test_weights_of_tokens_that_are_not_there_or_of_another_objective_are_refused():
    with pytest.raises(RecipeError, match="no special token of the tokenizer has a name like 'cdoe_\\*'"):
        weighted(**{"cdoe_*": 0.1})
    with pytest.raises(ValueError, match="token_weights has no meaning for the objective prefix"):
        PrefixConfig(token_weights={"code_*": 0.1})
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        CausalConfig(token_weights={"code_*": -1})
