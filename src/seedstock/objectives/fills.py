"""What can be restored of a picture without learning: colours, lines between the edges of a hole, linear filters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from seedstock.models.patches import normalised

REACH = 2  # pixels to each side that the linear filter reads


def floors(batches: Iterable[dict[str, Any]], *, hole: bool) -> dict[str, float]:
    """Mean squared errors of counted pixels, by what is drawn in their place.

    Of all: ``grey``. Of a hole: ``mean of the rest`` and ``lines between its edges``. Of noise: ``mean of the
    picture``, ``as it is``, and ``linear filter``, the least squares of a pixel on the 5 x 5 spoilt ones around it,
    fitted on the other half of the pictures.
    """
    found = [(normalised(one["image"]), one["spoilt"], one["counted"]) for one in batches]
    if not found:
        return {}
    clean, spoilt, counted = (torch.cat(column) for column in zip(*found, strict=True))
    if hole:
        drawn = {"mean of the rest": _rest(spoilt, counted), "lines between its edges": lines(spoilt, counted)}
    else:
        mean = spoilt.mean(dim=(1, 2), keepdim=True).expand(clean.shape)
        drawn = {"mean of the picture": mean, "as it is": spoilt, "linear filter": _filtered(clean, spoilt)}
    return {name: _error(one, clean, counted) for name, one in {"grey": torch.zeros_like(clean), **drawn}.items()}


def _error(drawn: Tensor, clean: Tensor, counted: Tensor) -> float:
    errors = (drawn - clean).square().mean(dim=-1)
    return float((errors * counted).sum() / counted.sum().clamp(min=1))


def _rest(spoilt: Tensor, hole: Tensor) -> Tensor:
    kept = (~hole)[..., None]
    mean = (spoilt * kept).sum(dim=(1, 2), keepdim=True) / kept.sum(dim=(1, 2), keepdim=True).clamp(min=1)
    return mean.expand(spoilt.shape)


def lines(spoilt: Tensor, hole: Tensor) -> Tensor:
    """Each missing pixel from the nearest that are there in its row and its column, weighed by how near they are."""
    total, weight = torch.zeros_like(spoilt), torch.zeros_like(spoilt[..., :1])
    for axis in (1, 2):
        for back in (False, True):
            values, gaps = _nearest(spoilt, hole, axis, back)
            near = torch.where(gaps.isfinite(), 1 / gaps.clamp(min=1), 0.0)[..., None]
            total, weight = total + values * near, weight + near
    return torch.where(hole[..., None], total / weight.clamp(min=1e-9), spoilt)


def _nearest(spoilt: Tensor, hole: Tensor, axis: int, back: bool) -> tuple[Tensor, Tensor]:
    """For each pixel the last one before it along an axis that is there, and how far off it is (infinite: none)."""
    if back:
        values, gaps = _nearest(spoilt.flip(axis), hole.flip(axis), axis, False)
        return values.flip(axis), gaps.flip(axis)
    size = hole.shape[axis]
    place = torch.arange(size, device=hole.device).view(-1, *[1] * (2 - axis)).expand(hole.shape)
    last = torch.where(hole, -1, place).cummax(dim=axis).values
    index = last.clamp(min=0)[..., None].expand(spoilt.shape)
    return spoilt.gather(axis, index), torch.where(last >= 0, (place - last).float(), torch.inf)


def _filtered(clean: Tensor, spoilt: Tensor) -> Tensor:
    """The linear filter, each half of the pictures by the other's weights."""
    around = torch.nn.functional.pad(spoilt.permute(0, 3, 1, 2), [REACH] * 4, mode="reflect")
    side = 2 * REACH + 1
    x = around.unfold(2, side, 1).unfold(3, side, 1).permute(0, 2, 3, 1, 4, 5).flatten(3)
    x = torch.cat([x, torch.ones_like(x[..., :1])], dim=-1)
    drawn, half = torch.empty_like(clean), len(clean) // 2
    for own, other in ((slice(0, half), slice(half, None)), (slice(half, None), slice(0, half))):
        a, b = x[other].flatten(0, 2).double(), clean[other].flatten(0, 2).double()
        gram = a.T @ a + 1e-3 * torch.eye(a.shape[1], dtype=torch.float64)
        drawn[own] = (x[own].double() @ torch.linalg.solve(gram, a.T @ b)).to(clean.dtype)
    return drawn
