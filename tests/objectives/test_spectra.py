"""Distances of spectra, and floors of codecs: against what is known of tones and noise."""

from __future__ import annotations

import pytest
import torch

from seedstock.objectives import spectra

RATE = 8000


def tone(hertz, loud=0.3, samples=4000):
    return loud * torch.sin(2 * torch.pi * hertz * torch.arange(samples) / RATE)[None]


def test_equal_sounds_have_no_distance_and_silence_no_gradient_that_is_none():
    wanted = tone(440)
    assert float(spectra.distances(wanted, wanted, RATE, 64)) == pytest.approx(1e-4, abs=1e-6)
    silent = torch.zeros(1, 4000, requires_grad=True)
    spectra.distances(silent, wanted, RATE, 64).sum().backward()
    assert silent.grad.isfinite().all()
    spectra.distances(silent, torch.zeros(1, 4000), RATE, 64).sum().backward()
    assert silent.grad.isfinite().all()


def test_a_shift_in_time_is_near_and_another_pitch_is_far():
    wanted, shifted, other = tone(440), tone(440).roll(3, dims=1), tone(880)
    near, far = (float(spectra.distances(one, wanted, RATE, 64)) for one in (shifted, other))
    assert near < 0.2 * far
    assert float((shifted - wanted).square().mean()) > 0.4 * float((other - wanted).square().mean())


def test_noise_of_deviation_one_has_magnitudes_of_about_one_in_every_band():
    noise = torch.randn(4, 8000, generator=torch.Generator().manual_seed(1))
    for points in (64, 512):
        found = spectra.bands(noise, RATE, points, 64).mean((0, 1))
        assert found.shape == (min(64, points // 4),)
        assert float(found.min()) > 0.7 and float(found.max()) < 1.1


def test_clips_shorter_than_every_window_are_compared_by_none():
    assert float(spectra.distances(torch.ones(1, 50), torch.zeros(1, 50), RATE, 64)) == 0
