"""Pictures as sequences of patches, and where patches lie."""

from __future__ import annotations

import torch
from torch import Tensor


def normalised(images: Tensor) -> Tensor:
    """uint8 pixels as fp32 in [-1, 1]; what is floating-point already is left as it is."""
    return images.float().div_(127.5).sub_(1.0) if images.dtype == torch.uint8 else images.float()


def patchify(images_BHWC: Tensor, patch: int) -> Tensor:
    """``[B, H, W, C]`` → ``[B, (H/p)·(W/p), p·p·C]``: patches row by row, each its pixels row by row."""
    b, h, w, c = images_BHWC.shape
    cut = images_BHWC.reshape(b, h // patch, patch, w // patch, patch, c)
    return cut.permute(0, 1, 3, 2, 4, 5).reshape(b, (h // patch) * (w // patch), patch * patch * c)


def unpatchify(patches_BTP: Tensor, patch: int, channels: int) -> Tensor:
    """The inverse of ``patchify`` for square pictures."""
    b, t, _ = patches_BTP.shape
    side = round(t**0.5)
    cut = patches_BTP.reshape(b, side, side, patch, patch, channels)
    return cut.permute(0, 1, 3, 2, 4, 5).reshape(b, side * patch, side * patch, channels)


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
