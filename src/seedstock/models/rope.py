"""Rotary position embedding (Su et al. 2021), as ``transformers`` has it: halves pair up, not neighbours."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def angles(positions_BT: Tensor, head_size: int, base: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines ``[B, 1, T, K/2]`` in fp32, one for each pair of dimensions."""
    steps = torch.arange(0, head_size, 2, device=positions_BT.device, dtype=torch.float32) / head_size
    turns = positions_BT[:, None, :, None].float() * (1.0 / base**steps)
    return turns.cos(), turns.sin()


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
