"""Counts and work of codecs: against the real ones."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from seedstock.models.configs.codec import CodecConfig
from seedstock.planning import flops
from seedstock.planning.parameters import Shape, parameters


@st.composite
def configurations(draw):
    """Any sizes that fit together."""
    ratios = tuple(draw(st.lists(st.integers(2, 5), min_size=1, max_size=3)))
    values = {name: draw(st.integers(1, 3)) for name in ("blocks", "books", "taps", "recurrent")}
    values |= {"filters": 2 * draw(st.integers(1, 6)), "latent": draw(st.integers(1, 9))}
    values |= {"codes": draw(st.integers(2, 40))}
    hop = CodecConfig(samples=120**3, ratios=ratios).hop
    return CodecConfig(samples=hop * draw(st.integers(1, 9)), ratios=ratios, **values)


@given(configurations())
@settings(deadline=None, max_examples=30)
def test_counts_equal_the_real_network(config):
    network, found = config.build(device="meta"), parameters(Shape.of(config), 0)
    roles, by_role = network.roles(), {}
    for name, parameter in network.named_parameters():
        by_role[roles[name]] = by_role.get(roles[name], 0) + parameter.numel()
    assert found["convolutions"] == by_role["kernel"]
    assert found["vectors"] == by_role["vector"]
    assert found["embedding"] == by_role["embedding"]
    assert sum(found.values()) == sum(by_role.values())


def test_flops_equal_what_torch_counts():
    """Without LSTMs, which the counter does not know; those are counted by hand."""
    config = CodecConfig(samples=400, rate=8000, filters=4, ratios=(5, 4), recurrent=0, latent=6, codes=8)
    network = config.build()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.decode(network.latents(torch.zeros(2, 400)))
    expected = flops.forward(Shape.of(config), 0) * 2 * config.context
    # What the transposed convolutions give beyond the end is cut off, and counted by neither.
    assert counter.get_total_flops() == pytest.approx(expected, rel=1e-6)
    more = CodecConfig(**{**config.model_dump(), "recurrent": 3})
    gates = 3 * 2 * (2 * 4 * 16**2)  # of three layers, from what comes and from what was
    each = (flops.forward(Shape.of(more), 0) - flops.forward(Shape.of(config), 0)) / 2
    assert each == pytest.approx(gates, rel=1e-6)


def test_clips_that_are_no_whole_frames_are_refused():
    with pytest.raises(ValueError, match="no whole frames of 320: make them 6,400, 6,720"):
        CodecConfig(samples=6500)
    with pytest.raises(ValueError, match="make them 320"):
        CodecConfig(samples=100)
