"""Normalisation layers; statistics in fp32."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """``x / rms(x) * weight`` over the last dimension (Zhang and Sennrich 2019)."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x.float(), x.shape[-1:], self.weight, self.epsilon).to(x.dtype)


class LayerNorm(nn.Module):
    """``(x - mean(x)) / std(x) * weight + bias`` over the last dimension (Ba et al. 2016)."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))
        self.bias = nn.Parameter(torch.empty(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x.float(), x.shape[-1:], self.weight, self.bias, self.epsilon).to(x.dtype)


def norm(kind: str, width: int, epsilon: float) -> RMSNorm | LayerNorm:
    """A normalisation layer by its name in the configuration."""
    return RMSNorm(width, epsilon) if kind == "rms" else LayerNorm(width, epsilon)
