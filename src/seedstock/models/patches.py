"""Pictures and clips as sequences of patches, and where patches lie."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def normalised(images: Tensor) -> Tensor:
    """uint8 pixels as fp32 in [-1, 1]; what is floating-point already is left as it is."""
    return images.float().div_(127.5).sub_(1.0) if images.dtype == torch.uint8 else images.float()


def patchify(images: Tensor, patch: int, tubelet: int = 1) -> Tensor:
    """``[B, H, W, C]`` → ``[B, (H/p)·(W/p), p·p·C]``: patches row by row, each its pixels row by row. Of clips
    ``[B, F, H, W, C]`` tubelets of ``t`` frames (Arnab et al. 2021), ``[B, (F/t)·(H/p)·(W/p), t·p·p·C]``."""
    if images.ndim == 5:
        b, f, h, w, c = images.shape
        cut = images.reshape(b, f // tubelet, tubelet, h // patch, patch, w // patch, patch, c)
        return cut.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(b, -1, tubelet * patch * patch * c)
    b, h, w, c = images.shape
    cut = images.reshape(b, h // patch, patch, w // patch, patch, c)
    return cut.permute(0, 1, 3, 2, 4, 5).reshape(b, (h // patch) * (w // patch), patch * patch * c)


def unpatchify(patches_BTP: Tensor, patch: int, channels: int) -> Tensor:
    """The inverse of ``patchify`` for square pictures."""
    b, t, _ = patches_BTP.shape
    side = round(t**0.5)
    cut = patches_BTP.reshape(b, side, side, patch, patch, channels)
    return cut.permute(0, 1, 3, 2, 4, 5).reshape(b, side * patch, side * patch, channels)


def untubelets(patches_BTP: Tensor, patch: int, tubelet: int, side: int) -> Tensor:
    """The inverse of ``patchify`` for clips of square frames, ``side`` patches a row: ``[B, F, H, W, C]``."""
    b, t, values = patches_BTP.shape
    channels = values // (tubelet * patch**2)
    cut = patches_BTP.reshape(b, t // side**2, side, side, tubelet, patch, patch, channels)
    whole = cut.permute(0, 1, 4, 2, 5, 3, 6, 7)
    return whole.reshape(b, t // side**2 * tubelet, side * patch, side * patch, channels)


def fixed(places: Tensor, config: Any, width: int) -> Tensor:
    """The fixed embeddings of a VisionConfig's patches: those of a grid, or of tubelets in a row."""
    every = torch.arange(config.patches, device=places.device)  # each is worked out once, however many clips there are
    if config.shape == "videomae":
        return in_a_row(every, width)[places]
    return sines(every, config.image // config.patch, width, config.conditioned)[places]


def in_a_row(places: Tensor, width: int) -> Tensor:
    """Fixed embeddings of numbers, fp32 ``[…, width]``: a sine and a cosine of each rate in turn (Vaswani et al. 2017),
    as Tong et al. 2022 have it."""
    rates = 10_000.0 ** -(torch.arange(0, width, 2, dtype=torch.float64, device=places.device) / width)
    angles = places.double()[..., None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2).float()


def sines(places: Tensor, side: int, width: int, column_first: bool = False) -> Tensor:
    """Fixed embeddings of patches, fp32 ``[…, width]``: sines and cosines of the row, then of the column, or the other
    way round (Vaswani et al. 2017, in two dimensions as He et al. 2022 have it). ``places`` number patches from 0."""
    quarter = width // 4
    rates = 10_000.0 ** -(torch.arange(quarter, dtype=torch.float64, device=places.device) / quarter)
    parts = []
    for place in (places % side, places // side) if column_first else (places // side, places % side):
        angles = place.double()[..., None] * rates
        parts += [angles.sin(), angles.cos()]
    return torch.cat(parts, dim=-1).float()
