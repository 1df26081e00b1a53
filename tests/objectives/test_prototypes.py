"""Shares over prototypes that Sinkhorn and Knopp's rounds even out over a batch."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seedstock.objectives.prototypes import sinkhorn

SEEDS = st.integers(0, 2**32 - 1)


def cosines(seed: int, pictures: int = 24, prototypes: int = 8) -> torch.Tensor:
    """Logits of two crops that all lean to the first prototypes."""
    drawn = torch.Generator().manual_seed(seed)
    return torch.rand(pictures, 2, prototypes, generator=drawn) - torch.linspace(0, 0.5, prototypes)


@settings(max_examples=20)
@given(SEEDS, st.sampled_from((0.01, 0.05, 0.5)))
def test_every_crop_shares_out_one(seed: int, temperature: float) -> None:
    shares = sinkhorn(cosines(seed), temperature, torch.ones(24, dtype=torch.bool))
    torch.testing.assert_close(shares.sum(-1), torch.ones(24, 2))


@settings(max_examples=20)
@given(SEEDS)
def test_every_prototype_gets_as_much(seed: int) -> None:
    logits, there = cosines(seed), torch.ones(24, dtype=torch.bool)
    total = sinkhorn(logits, 0.1, there, rounds=100).sum((0, 1))
    torch.testing.assert_close(total, torch.full((8,), 48 / 8), rtol=1e-2, atol=1e-2)
    few, plain = sinkhorn(logits, 0.1, there).sum((0, 1)), (logits / 0.1).softmax(-1).sum((0, 1))
    assert few.std() < plain.std() / 2


@settings(max_examples=20)
@given(SEEDS)
def test_pictures_that_are_not_there_change_nothing(seed: int) -> None:
    logits, there = cosines(seed), torch.arange(24) < 15
    spoilt = torch.where(there[:, None, None], logits, 100.0)
    own = sinkhorn(spoilt, 0.1, there)
    torch.testing.assert_close(own[:15], sinkhorn(logits[:15], 0.1, there[:15]))
    assert own.isfinite().all()


@settings(max_examples=20)
@given(SEEDS)
def test_a_batch_that_is_not_there_is_finite(seed: int) -> None:
    assert sinkhorn(cosines(seed), 0.01, torch.zeros(24, dtype=torch.bool)).isfinite().all()


@settings(max_examples=20)
@given(SEEDS)
def test_the_order_of_pictures_does_not_matter(seed: int) -> None:
    logits, order = cosines(seed), torch.randperm(24, generator=torch.Generator().manual_seed(seed))
    there = torch.arange(24) % 5 > 0
    torch.testing.assert_close(sinkhorn(logits[order], 0.1, there[order]), sinkhorn(logits, 0.1, there)[order])
