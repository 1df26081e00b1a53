"""A short causal convolution: what stood just before, for the price of a few multiplications a number."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedstock.models.cache import LayerCache


class Convolution(nn.Module):
    """``x[t] + sum over k of taps[k] * x[t - k]``, each channel by itself (Allen-Zhu 2025, Canon layers).

    It never looks into another document. Taps start at zero, so that a network begins as it would without it.
    """

    def __init__(self, width: int, taps: int, place: str) -> None:
        super().__init__()
        self.taps = nn.ParameterList(torch.empty(width) for _ in range(taps))
        self.place = place

    def forward(self, x_BTD: Tensor, near: list[Tensor], cache: LayerCache | None) -> Tensor:
        """``near[k]`` ``[B or 1, T, 1]`` is 1 where ``t - k`` is of the same document, else 0 (see ``reach``)."""
        T, before = x_BTD.shape[1], len(self.taps) - 1
        held = F.pad(x_BTD, (0, 0, before, 0)) if cache is None else cache.after(self.place, x_BTD, before)
        result = x_BTD
        for k, tap in enumerate(self.taps):
            shifted = held[:, before - k : before - k + T]
            result = result + shifted * (tap.to(x_BTD.dtype) * near[k])
        return result


def reach(positions_BT: Tensor, taps: int, dtype: torch.dtype) -> list[Tensor]:
    """For each tap, where it stays inside the document: positions restart where a document begins."""
    return [(positions_BT >= k).to(dtype)[..., None] for k in range(taps)]
