"""Attention by writing the scores out: for CPUs that are fast at bf16 products and slow at flash kernels' gradients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

LONGEST = 512
"""Positions beyond which scores cost more to move than a flash kernel costs to make them again."""

_SCORES = 2**19  # scores at once: 1 MiB in bf16, which a core's cache holds


def attend(q_BHTK: Tensor, k_BGSK: Tensor, v_BGSK: Tensor, bias: Tensor) -> Tensor:
    """Attention with ``bias`` ``[B or 1, 1, T, S]`` added to the scores, which are held in the dtype of ``q``; the
    softmax of a row is made in fp32. The heads of a group lie end to end, so that keys and values are never repeated.
    """
    B, H, T, K = q_BHTK.shape
    G, S = k_BGSK.shape[1:3]
    q = (q_BHTK * K**-0.5).reshape(B * G, H // G * T, K)
    k, v = k_BGSK.reshape(B * G, S, K), v_BGSK.reshape(B * G, S, K)
    if torch.compiler.is_compiling():
        scores = torch.bmm(q, k.transpose(1, 2)).view(B, H, T, S) + bias
        return torch.bmm(torch.softmax(scores, -1).view(B * G, H // G * T, S), v).view(B, H, T, K)
    return _Products.apply(q.contiguous(), k.contiguous(), v.contiguous(), bias.expand(B, 1, T, S)).view(B, H, T, K)


class _Products(torch.autograd.Function):
    """The same a few examples at a time, each step in the place of the last. N is B * G, M is H / G * T."""

    @staticmethod
    def forward(ctx: Any, q_NMK: Tensor, k_NSK: Tensor, v_NSK: Tensor, bias: Tensor) -> Tensor:
        T, S = bias.shape[2:]
        groups = len(q_NMK) // len(bias)
        out_NMK, shares = torch.empty_like(q_NMK), torch.empty(*q_NMK.shape[:2], S, dtype=q_NMK.dtype)
        for examples, some in _pieces(shares, groups):
            torch.bmm(q_NMK[some], k_NSK[some].transpose(1, 2), out=shares[some])
            scores = shares[some].view(len(bias[examples]), -1, T, S).add_(bias[examples])
            torch.softmax(scores, -1, out=scores)
            torch.bmm(shares[some], v_NSK[some], out=out_NMK[some])
        ctx.save_for_backward(q_NMK, k_NSK, v_NSK, shares)
        ctx.groups = groups
        return out_NMK

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, up: Tensor) -> Any:
        q, k, v, shares = ctx.saved_tensors
        up, d_q, d_k, d_v = up.contiguous(), torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
        for _, some in _pieces(shares, ctx.groups):
            torch.bmm(shares[some].transpose(1, 2), up[some], out=d_v[some])
            d_shares = torch.bmm(up[some], v[some].transpose(1, 2))
            d_scores = torch._softmax_backward_data(d_shares, shares[some], -1, shares.dtype)
            torch.bmm(d_scores, k[some], out=d_q[some])
            torch.bmm(d_scores.transpose(1, 2), q[some], out=d_k[some])
        return d_q, d_k, d_v, None


def _pieces(shares_NMS: Tensor, groups: int) -> Iterator[tuple[slice, slice]]:
    """A few examples at a time, as slices of B and of N."""
    size = max(1, _SCORES // (groups * shares_NMS[0].numel()))
    for low in range(0, len(shares_NMS) // groups, size):
        yield slice(low, low + size), slice(low * groups, (low + size) * groups)
