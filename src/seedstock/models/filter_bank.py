"""Convolutions over samples that begin as a bank of filters, in the place of random numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from seedstock.inputs.items import mel
from seedstock.models.initialise import put

LOWEST = 80.0  # Hz, about the lowest voice's
ROUGH = 0.1  # how much of the random weights stays beside the running means


def filters(count: int, taps: int, rate: int) -> Tensor:
    """Cosines and sines under a Hann window, as wide on the mel scale each as the next, from ``LOWEST`` to half of
    ``rate``: fp32 ``[count, taps]``, each of length √2. The first half are cosines, the others sines of the same."""
    pairs = -(-count // 2)
    middles = torch.from_numpy(mel.middles(LOWEST, rate / 2, pairs)).repeat(2)[:count]
    at = torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2
    turned = (torch.arange(count) >= pairs) * (math.pi / 2)
    waves = torch.cos(2 * math.pi / rate * middles[:, None] * at + turned[:, None])
    waves = waves * torch.hann_window(taps + 2, periodic=False, dtype=torch.float64)[1:-1]
    return (waves * (math.sqrt(2) / waves.norm(dim=1, keepdim=True).clamp_min(1e-12))).float()


@torch.no_grad()
def begin(layers: Sequence[Any], rate: int) -> None:
    """Gives the first layer filters, and the others the means of each channel by itself over their taps, beside a
    tenth of the random weights that they have: what comes out is how loud each band is, as it were (Zeghidour et al.
    2018, Learning filterbanks from raw speech, section 2)."""
    first, *others = layers
    put(first.weight, filters(len(first.weight), first.taps, rate))
    for layer in others:
        own = torch.eye(len(layer.weight), layer.inputs)[..., None].expand(-1, -1, layer.taps) / layer.taps
        put(layer.weight, layer.weight.cpu() * ROUGH + own.flatten(1))
