"""How far sounds are from each other in their spectra, of short windows and of long ones."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seedstock.inputs.items import mel

WINDOWS = (64, 128, 256, 512, 1024, 2048)
FLOOR = 1e-4
"""What is added to magnitudes before the logarithm: a few steps of 16-bit samples."""


def bands(samples_BS: Tensor, rate: int, points: int, count: int) -> Tensor:
    """Mean magnitudes in bands of the mel scale, fp32 ``[B, frames, bands]``: windows of ``points`` samples every
    quarter of one, so scaled that noise of deviation 1 has about 1. Short windows have a quarter as many bands as
    points."""
    window, filters = _tables(rate, points, min(count, points // 4), str(samples_BS.device))
    options: dict[str, Any] = {"window": window, "pad_mode": "constant", "return_complex": True}
    found = torch.stft(samples_BS, points, points // 4, **options)
    # The gradient of a magnitude that is none is none.
    return (found.real.square() + found.imag.square() + 1e-12).sqrt().transpose(1, 2) @ filters


def drawn(samples_BS: Tensor, rate: int, count: int = 64) -> np.ndarray:
    """Spectra to look at, uint8 ``[B, bands, frames, 1]``: time from left to right, the mel scale upwards."""
    points = max(64, min(512, 2 ** int(math.log2(samples_BS.shape[-1] / 8))))
    bright = ((bands(samples_BS, rate, points, count) + FLOOR).log() / -math.log(FLOOR) + 1).clamp(0, 1)
    return (bright.transpose(1, 2).flip(1) * 255).round().byte()[..., None].numpy()


@cache
def _tables(rate: int, points: int, count: int, device: str) -> tuple[Tensor, Tensor]:
    window = torch.hann_window(points)
    filters = torch.from_numpy(mel.filters(rate, points, count)).float()
    return (window / window.square().sum().sqrt()).to(device), (filters / filters.sum(0).clamp_min(1e-12)).to(device)


def distances(drawn_BS: Tensor, wanted_BS: Tensor, rate: int, count: int) -> Tensor:
    """Of each sound ``[B]``: over window lengths the mean of the absolute distance of magnitudes, and of the root mean
    square over bands of that of their logarithms (Zeghidour et al. 2021, equation 4, with means for sums). Windows are
    no longer than the clip."""
    total, used = torch.zeros(len(drawn_BS), device=drawn_BS.device), 0
    for points in WINDOWS:
        if points > drawn_BS.shape[1]:
            break
        own, other = (bands(one, rate, points, count) for one in (drawn_BS, wanted_BS))
        apart = (own + FLOOR).log() - (other + FLOOR).log()
        total = total + (own - other).abs().mean(dim=(1, 2)) + (apart.square().mean(2) + 1e-8).sqrt().mean(1)
        used += 1
    return total / max(1, used)
