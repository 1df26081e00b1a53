"""Normalisation layers; statistics in fp32."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class RMSNorm(nn.Module):
    """``x / rms(x) * weight`` over the last dimension (Zhang and Sennrich 2019)."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type == "cpu" and not torch.compiler.is_compiling():
            return _EagerRMSNorm.apply(x, self.weight, self.epsilon)
        return F.rms_norm(x.float(), x.shape[-1:], self.weight, self.epsilon).to(x.dtype)


class _EagerRMSNorm(torch.autograd.Function):
    """The same in few passes over memory: CPUs have a kernel for layer norm but, uncompiled, none for this.

    With mean 0 and the reciprocal of rms in the place of that of the deviation, layer norm's gradient kernel gives
    ours less each row's rms-scaled mean of (gradient * weight), which is added back.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        wide = x.float()
        squares = torch.linalg.vector_norm(wide, dim=-1, keepdim=True).square_()
        scale = squares.mul_(1 / x.shape[-1]).add_(epsilon).rsqrt_()
        ctx.save_for_backward(x, scale, weight)
        return (wide * scale if wide is x else wide.mul_(scale)).mul_(weight).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, up: Tensor) -> Any:
        x, scale, weight = ctx.saved_tensors
        width = x.shape[-1]
        wide = up.float().contiguous()
        zero = torch.zeros_like(scale)
        wanted = [True, True, False]
        down, d_weight, _ = torch.ops.aten.native_layer_norm_backward(
            wide, x.float().contiguous(), [width], zero, scale, weight, None, wanted
        )
        down += (wide @ (weight / width)).unsqueeze(-1).mul_(scale)
        return down.to(x.dtype), d_weight, None


class LayerNorm(nn.Module):
    """``(x - mean(x)) / std(x) * weight + bias`` over the last dimension (Ba et al. 2016); without a gain there is
    neither."""

    def __init__(self, width: int, epsilon: float, bias: bool = True, gain: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width)) if gain else None
        self.bias = nn.Parameter(torch.empty(width)) if bias and gain else None
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x.float(), x.shape[-1:], self.weight, self.bias, self.epsilon).to(x.dtype)


def norm(kind: str, width: int, epsilon: float) -> RMSNorm | LayerNorm:
    """A normalisation layer by its name in the configuration."""
    if kind == "rms":
        return RMSNorm(width, epsilon)
    return LayerNorm(width, epsilon, bias=kind == "layer", gain=kind != "layer_plain")
