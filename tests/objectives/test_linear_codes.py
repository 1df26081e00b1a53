"""The floors of codes: what no learning loses of pictures, against what is known exactly."""

from __future__ import annotations

import math

import pytest
import torch

from seedstock.objectives import linear_codes


def gaussian(count, powers, seed):
    draws = torch.randn(count, len(powers), generator=torch.Generator().manual_seed(seed))
    return draws * torch.tensor(powers).sqrt() + 0.3


def test_components_lose_what_the_smaller_ones_hold():
    powers = [4.0, 2.0, 1.0, 0.5]
    found = linear_codes.errors(gaussian(20_000, powers, 1), gaussian(20_000, powers, 2), numbers=2)
    assert found["mean picture"] == pytest.approx(sum(powers) / 4, rel=0.05)
    assert found["PCA"] == pytest.approx(1.5 / 4, rel=0.05)
    assert found["grey"] == pytest.approx(sum(powers) / 4 + 0.09, rel=0.05)


def test_bits_go_where_they_help_most():
    """Two of unit variance with two bits: each is left with a quarter (rate-distortion of a Gaussian)."""
    assert linear_codes._water(torch.tensor([1.0, 1.0]), 2.0) == pytest.approx(0.5, rel=1e-6)
    uneven = linear_codes._water(torch.tensor([16.0, 1.0]), 2.0)
    assert uneven == pytest.approx(16.0 / 2**4 + 1.0, rel=1e-6), "all of them to the larger one"
    assert linear_codes._water(torch.tensor([3.0, 1.0]), 0.0) == pytest.approx(4.0)
    several = linear_codes._water(torch.tensor([8.0, 4.0, 0.1]), 3.0)
    level = math.sqrt(32 / 2**6)
    assert several == pytest.approx(2 * level + 0.1, rel=1e-6)


def test_without_training_pictures_the_mean_is_their_own():
    pictures = gaussian(100, [1.0, 2.0], 3)
    found = linear_codes.errors(pictures, torch.zeros(0, 1), numbers=1)
    assert found.keys() == {"grey", "mean picture"}
