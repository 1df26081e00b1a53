"""Dropout masks are a function of the example, the place and the purpose; and they look random."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_networks import packed, small

from seedstock.models.dropout import Dropout


@given(st.permutations(range(8)), st.integers(1, 8))
def test_masks_do_not_depend_on_the_batch(order, rows):
    layer, x = Dropout(0.3, 1, "here").train(), torch.ones(8, 5, 6)
    examples = torch.arange(2**40, 2**40 + 8)
    whole = layer(x, examples)
    for part in torch.tensor(order).split(rows):
        assert torch.equal(layer(x[part], examples[part]), whole[part])


def test_masks_have_the_right_rate_and_no_correlation():
    shape, examples = torch.Size((64, 32, 64)), torch.arange(64)
    for p in (0.05, 0.1, 0.5):
        here, there = (Dropout(p, 1, purpose).dropped(shape, examples).float() for purpose in ("here", "there"))
        deviation = (p * (1 - p) / here.numel()) ** 0.5
        assert abs(here.mean() - p) < 4 * deviation
        pairs = [(here, there), (here[1:], here[:-1]), (here[:, 1:], here[:, :-1]), (here[..., 1:], here[..., :-1])]
        for one, other in pairs:
            assert abs((one * other).mean() - p * p) < 5 * deviation
        by_example, by_place = here.mean((1, 2)), here.mean(0)
        assert by_example.std() == pytest.approx((p * (1 - p) / 2048) ** 0.5, rel=0.4)
        assert by_place.std() == pytest.approx((p * (1 - p) / 64) ** 0.5, rel=0.1)


def test_what_is_kept_is_scaled_and_evaluation_drops_nothing():
    layer, x = Dropout(0.25, 1, "here"), torch.ones(2, 100)
    assert layer.train()(x, torch.arange(2)).unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert layer.eval()(x, None) is x


def test_training_without_example_numbers_is_an_error():
    network, tokens = small(dropout=0.1).build(96).train(), packed()["tokens"]
    with pytest.raises(ValueError, match="example number"):
        network(tokens)


def test_every_layer_has_masks_of_its_own():
    network = small(dropout=0.5).build(96)
    layers = [module for module in network.modules() if isinstance(module, Dropout)]
    masks = [layer.dropped(torch.Size((1, 64)), torch.tensor([3])) for layer in layers]
    assert len(layers) == 7
    assert len({tuple(mask.flatten().tolist()) for mask in masks}) == 7
