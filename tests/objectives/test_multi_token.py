"""Multi-token prediction: with no weight it is next-token prediction; its heads see what they may, and no more."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "models"))
from small_networks import VOCABULARY, lively, packed, small

from seedstock.errors import RecipeError
from seedstock.objectives.base import Spec, assemble
from seedstock.objectives.configs.causal import CausalConfig
from seedstock.objectives.configs.multi_token import MultiTokenConfig
from seedstock.objectives.multi_token import targets
from seedstock.training.gradients import accumulate


def _made(network, **options):
    objective = MultiTokenConfig(**options).build(Spec(VOCABULARY, 48, model=network.config, seed=3))
    return objective, assemble(network, objective)


def _step(objective, nets, batch):
    nets.zero_grad()
    step = accumulate(nets, objective, batch, batch["examples"].numpy(), size=4, seed=1)
    return step, {name: p.grad for name, p in nets.named_parameters()}


def _shorter(batch, cut):
    return {name: one if name == "examples" else one[:, : one.shape[1] - cut] for name, one in batch.items()}


def test_without_weight_it_is_next_token_prediction_to_the_last_bit():
    network = lively().train()
    objective, nets = _made(network, weight=0)
    assert list(nets) == ["network"] and objective.raw_length(32) == 33
    found, gradients = _step(objective, nets, packed())
    causal = CausalConfig().build()
    expected, wanted = _step(causal, assemble(network, causal), packed())
    assert torch.equal(found.loss, expected.loss)
    assert all(torch.equal(gradients[name], wanted[name]) for name in wanted)


def test_the_first_head_is_the_network_as_it_is():
    network, batch = lively().train(), packed(length=36)
    objective, nets = _made(network)
    found, gradients = _step(objective, nets, batch)
    causal = CausalConfig().build()
    expected, _ = _step(causal, assemble(network, causal), _shorter(batch, 3))
    assert torch.equal(found.losses["causal"], expected.loss)
    assert found.losses.keys() == {"causal", "ahead_2", "ahead_3", "ahead_4"}
    assert all(gradient is not None and gradient.any() for gradient in gradients.values())


def test_targets_stay_within_their_document():
    batch = {
        "tokens": torch.tensor([[10, 11, 12, 13, 14, 15, 16, 17]]),
        "documents": torch.tensor([[0, 0, 0, 1, 1, 1, -1, -1]]),
    }
    assert targets(batch, 2, 5).tolist() == [[12, -1, -1, 15, -1]]
    assert targets(batch, 3, 5).tolist() == [[-1, -1, -1, -1, -1]]
    assert targets(batch, 1, 5).tolist() == [[11, 12, -1, 14, 15]]


def test_a_head_learns_what_only_it_can_know():
    """Each token is one of two, and the one after the next repeats it: the second head alone can say so."""
    network = small(layers=2, width=32).build(VOCABULARY).train()
    objective, nets = _made(network, heads=2)
    optimizer = torch.optim.AdamW(nets.parameters(), lr=0.01, weight_decay=0)
    random = torch.Generator().manual_seed(0)
    for _ in range(50):
        pair = torch.randint(0, 2, (8, 2), generator=random)
        tokens = pair.repeat(1, 17) + 5
        rows = {"documents": torch.zeros_like(tokens), "positions": torch.arange(34).expand(8, 34)}
        batch = {"tokens": tokens, **rows, "examples": torch.arange(8)}
        step, _ = _step(objective, nets, batch)
        optimizer.step()
    assert float(step.losses["ahead_2"]) < 0.05  # the first token already says the third
    ((accepted, of),) = objective.acceptance(nets, batch)
    assert of > 100 and accepted / of > 0.95


def test_acceptance_compares_the_draft_with_the_networks_own_choice():
    network = lively().eval()
    objective, nets = _made(network)
    batch = packed(batch=2, length=36, documents=1)
    batch["documents"] = torch.zeros_like(batch["documents"])
    own = network(batch["tokens"][:, :32]).argmax(-1)
    batch["tokens"][:, 1:33] = own  # text that the first head is right about, for the most part
    for accepted, of in objective.acceptance(nets, batch):
        assert 0 <= accepted <= of


def test_a_network_of_one_layer_has_no_trunk():
    with pytest.raises(RecipeError, match="but one"):
        _made(small(layers=1).build(VOCABULARY))
