"""Convolutions that begin as a bank of filters: what they tell of tones, and what is refused."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seedstock.errors import RecipeError
from seedstock.models.configs.audio import AudioConfig
from seedstock.models.filter_bank import filters

RATE = 8000
SIZES = {
    "samples": 2400,
    "rate": RATE,
    "channels": 32,
    "width": 32,
    "layers": 1,
    "heads": 2,
    "strides": (5, 2, 2, 2, 2, 1, 1),
}
SIZES |= {"kernels": (20, 3, 3, 3, 3, 2, 2), "position_taps": 8, "position_groups": 2}


@pytest.fixture(scope="module")
def networks():
    return {one: AudioConfig(filters=one, **SIZES).build(seed=3) for one in ("mel", "random")}


@given(st.integers(2, 65), st.integers(8, 80), st.sampled_from([8000, 16000]))
@settings(deadline=None, max_examples=25)
def test_filters_have_one_length_and_rise(count, taps, rate):
    found = filters(count, taps, rate)
    torch.testing.assert_close(found.norm(dim=1), torch.full((count,), 2**0.5))
    cosines = found[: -(-count // 2)]
    peaks = torch.fft.rfft(cosines, n=1024).abs().argmax(1)
    assert (peaks.diff() >= 0).all()


def test_a_louder_band_is_a_louder_channel(networks):
    """A tone that sets in half way: the channels whose band it is rise most."""
    at = torch.arange(2400) / RATE
    bank = networks["mel"].embedding
    middle = torch.fft.rfft(bank.layers[0].weight.detach(), n=2048).abs().argmax(1) * RATE / 2048
    for hertz in (700.0, 1500.0, 2800.0):
        noise = torch.randn(2400, generator=torch.Generator().manual_seed(1)) * 0.05
        tone = torch.sin(2 * torch.pi * hertz * at) * (at > 0.15)
        with torch.no_grad():
            found = bank.layers[0]((tone + noise)[None, None])[0].square()
        half = found.shape[1] // 2
        rise = found[:, half:].mean(1) / found[:, :half].mean(1)
        assert abs(float(middle[rise.argmax()]) - hertz) < 250


def test_later_layers_pass_each_channel_on(networks):
    """Most of what a channel gives is its own mean over the taps; random ones mix all channels alike."""
    for name, share in (("mel", 0.5), ("random", 0.1)):
        for layer in networks[name].embedding.layers[1:]:
            weight = layer.weight.detach().view(32, 32, -1).sum(-1).abs()
            own = weight.diagonal() / weight.sum(1)
            assert (float(own.mean()) > share) == (name == "mel")


def test_nothing_else_of_the_network_changes(networks):
    mel, random = (networks[name].state_dict() for name in ("mel", "random"))
    assert {name: one.shape for name, one in mel.items()} == {name: one.shape for name, one in random.items()}
    changed = {name for name in mel if not torch.equal(mel[name], random[name])}
    assert changed == {f"embedding.layers.{number}.weight" for number in range(7)}


@pytest.mark.parametrize(
    ("values", "said"),
    [({"filters": "gabor"}, "filters"), ({"filters": "mel", "kernels": (4, *(3,) * 6)}, "4 samples")],
)
def test_what_are_no_filters_is_refused(values, said):
    with pytest.raises((RecipeError, ValueError), match=said):
        AudioConfig(**{**SIZES, **values}).resolved()
