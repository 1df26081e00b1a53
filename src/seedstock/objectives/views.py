"""Views of a picture: crops, mirrors and colours, each drawn by the example's number."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from seedstock.models.patches import normalised

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def view(
    images: Tensor,
    keys: Any,
    name: str,
    *,
    size: int | None = None,
    scale: tuple[float, float] = (0.2, 1.0),
    jitter: float = 0.5,
    grey: float = 0.2,
    flip: bool = True,
) -> Tensor:
    """One view of each picture: uint8 ``[B, H, W, C]`` → fp32 ``[B, size, size, C]`` from -1 to 1.

    A crop of a share of the area in ``scale``, of sides 3 : 4 to 4 : 3, brought to ``size`` (Szegedy et al. 2015);
    half of them mirrored; with probability 0.8 brightness, contrast, saturation and hue changed by up to 0.8, 0.8, 0.8
    and 0.2 times ``jitter``, in this order; with probability ``grey`` without colour (Chen et al. 2020, appendix A).
    ``name`` tells the views of one example apart.
    """
    draws = torch.from_numpy(keys.uniform(f"view {name}", 11)).to(images.device)
    crop, mirrored, colours = draws[:, :4], draws[:, 4] < 0.5, draws[:, 5:].float()
    x = normalised(images).permute(0, 3, 1, 2)
    x = _cropped(x, crop, mirrored & flip, size or x.shape[-1], scale)
    x = (x.clamp(-1, 1) + 1) / 2
    if jitter or grey:
        x = _coloured(x, colours, jitter, grey)
    return (x.clamp(0, 1) * 2 - 1).permute(0, 2, 3, 1)


def _cropped(x: Tensor, draws: Tensor, mirrored: Tensor, size: int, scale: tuple[float, float]) -> Tensor:
    area = scale[0] + draws[:, 0] * (scale[1] - scale[0])
    ratio = torch.exp((2 * draws[:, 1] - 1) * math.log(4 / 3))
    width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    left, top = (1 - width) * (2 * draws[:, 2] - 1), (1 - height) * (2 * draws[:, 3] - 1)
    across = torch.where(mirrored, -width, width)
    zero = torch.zeros_like(width)
    turn = torch.stack([torch.stack([across, zero, left], 1), torch.stack([zero, height, top], 1)], 1).float()
    grid = F.affine_grid(turn, [len(x), x.shape[1], size, size], align_corners=False)
    return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


def _coloured(x: Tensor, draws: Tensor, jitter: float, grey: float) -> Tensor:
    """Colours of pictures ``[B, C, H, W]`` from 0 to 1."""
    by = 1 + (2 * draws[:, :3] - 1) * 0.8 * jitter
    brightness, contrast, saturation = (one.view(-1, 1, 1, 1) for one in by.unbind(1))
    changed = (x * brightness).clamp(0, 1)
    mean = _grey(changed).mean(dim=(2, 3), keepdim=True)
    changed = (mean + (changed - mean) * contrast).clamp(0, 1)
    if x.shape[1] == 3:
        plain = _grey(changed)
        changed = (plain + (changed - plain) * saturation).clamp(0, 1)
        changed = _turned(changed, (2 * draws[:, 3] - 1) * 0.2 * jitter).clamp(0, 1)
    x = torch.where((draws[:, 4] < 0.8).view(-1, 1, 1, 1), changed, x)
    if x.shape[1] == 3:
        x = torch.where((draws[:, 5] < grey).view(-1, 1, 1, 1), _grey(x), x)
    return x


def _grey(x: Tensor) -> Tensor:
    if x.shape[1] == 1:
        return x
    return (x * x.new_tensor(LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True).expand_as(x)


def _turned(x: Tensor, share: Tensor) -> Tensor:
    """Hues turned by a share of the circle, around the grey axis (Rodrigues' formula)."""
    angle = 2 * math.pi * share
    cosine, sine = angle.cos().view(-1, 1, 1), angle.sin().view(-1, 1, 1)
    axis = 1 / math.sqrt(3)
    cross = x.new_tensor([[0, -axis, axis], [axis, 0, -axis], [-axis, axis, 0]])[None]
    turn = cosine * torch.eye(3, device=x.device) + sine * cross + (1 - cosine) / 3
    return torch.einsum("bij,bjhw->bihw", turn, x)
