"""Rotary position embedding (Su et al. 2021), as ``transformers`` has it: halves pair up, not neighbours."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def angles(positions_BT: Tensor, head_size: int, base: float, scaling: Any = None) -> tuple[Tensor, Tensor]:
    """Cosines and sines ``[B, 1, T, K/2]`` in fp32, one for each pair of dimensions; ``scaling`` is a RopeScaling."""
    turns = positions_BT[:, None, :, None].float() * frequencies(head_size, base, scaling, positions_BT.device)
    if scaling is None or scaling.scale == 1:
        return turns.cos(), turns.sin()
    return turns.cos() * scaling.scale, turns.sin() * scaling.scale


def frequencies(head_size: int, base: float, scaling: Any = None, device: Any = None) -> Tensor:
    """Radians a position ``[K/2]`` in fp32."""
    K = head_size
    if scaling is not None and scaling.kind == "ntk":
        base = base * scaling.factor ** (K / (K - 2))
    found = 1.0 / base ** (torch.arange(0, K, 2, dtype=torch.float32, device=device) / K)
    if scaling is None or scaling.kind == "ntk":
        return found
    if scaling.kind == "linear":
        return found / scaling.factor
    if scaling.kind == "yarn":
        # The pair that turns n times within the original context, as a real number (Peng et al. 2023, equation 23).
        low, high = (
            K * math.log(scaling.original / (n * 2 * math.pi)) / (2 * math.log(base))
            for n in (scaling.turns, scaling.slow)
        )
        low, high = max(math.floor(low), 0), min(math.ceil(high), K - 1)
        kept = 1 - ((torch.arange(K // 2, device=device) - low) / max(high - low, 1e-3)).clamp(0, 1)
    else:
        turned = scaling.original * found / (2 * math.pi)
        kept = ((turned - scaling.slow) / (scaling.turns - scaling.slow)).clamp(0, 1)
    return found / scaling.factor * (1 - kept) + found * kept


def rotate(x_BHTK: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Turns each pair (i, i + K/2) of dimensions by its position's angle; the result is contiguous."""
    if torch.compiler.is_compiling():
        left, right = x_BHTK.chunk(2, -1)
        return torch.cat((left * cosines - right * sines, right * cosines + left * sines), -1)
    return _Rotate.apply(x_BHTK, cosines, sines)


class _Rotate(torch.autograd.Function):
    """The same without a copy of each product; the gradient turns back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
        ctx.save_for_backward(cosines, sines)
        return _turned(x, cosines, sines, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, up: Tensor) -> Any:
        cosines, sines = ctx.saved_tensors
        return _turned(up, cosines, sines, -1), None, None


def _turned(x: Tensor, cosines: Tensor, sines: Tensor, direction: int) -> Tensor:
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    (left, right), (new_left, new_right) = x.chunk(2, -1), out.chunk(2, -1)
    torch.mul(left, cosines, out=new_left).addcmul_(right, sines, value=-direction)
    torch.mul(right, cosines, out=new_right).addcmul_(left, sines, value=direction)
    return out
