"""Attention of some queries to some of their keys: what they find there, how much weight it has, and its gradients.

What is found over several sets of keys is put together by the logarithms of the sums of exponentials (``merge``; Liu et
al. 2023, ring attention; Milakov and Gimelshein 2018). A gradient is then found tile by tile from the whole's output
and weight, as flash attention does (Dao et al. 2022).

``q`` is ``[B, H, T, K]``, ``k`` and ``v`` ``[B, G, S, K]``, ``seen`` boolean ``[B or 1, T, S]`` (None: everything),
``causal`` says that query t sees keys up to t. Weights ``[B, H, T]`` are in fp32.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

SCORES = 2**24
"""Most scores, of a mask or of all heads, that are written out at once."""

_ops: Any = torch.ops.aten


def attend(
    q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None = None, *, causal: bool = False
) -> tuple[Tensor, Tensor]:
    """Output, in the dtype of ``q``, and weights; where a query sees nothing, 0 and -inf."""
    scale = q.shape[-1] ** -0.5
    if q.device.type == "cpu":
        bias = None if seen is None else _bias(seen, q)
        out, weight = _ops._scaled_dot_product_flash_attention_for_cpu(
            q, k, v, 0.0, causal, attn_mask=bias, scale=scale
        )
        return out, weight if seen is None else weight.masked_fill(~seen.any(-1)[:, None], -torch.inf)
    if _flash(q) and seen is None:
        out, weight, *_ = _ops._scaled_dot_product_flash_attention(q, k, v, 0.0, causal, False, scale=scale)
        return out, weight
    return written_out(q, k, v, seen, causal=causal)


def gradients(
    up: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    weight: Tensor,
    seen: Tensor | None = None,
    *,
    causal: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """This tile's part of the gradients of ``q``, ``k`` and ``v``, from gradient, output and weights of the whole."""
    scale = q.shape[-1] ** -0.5
    if q.device.type == "cpu":
        bias = None if seen is None else _bias(seen, q)
        return _ops._scaled_dot_product_flash_attention_for_cpu_backward(
            up, q, k, v, out, weight, 0.0, causal, attn_mask=bias, scale=scale
        )
    if _flash(q) and seen is None:
        unused = torch.zeros(2, dtype=torch.int64, device=q.device)  # the state of dropout, of which there is none
        return _ops._scaled_dot_product_flash_attention_backward(
            up,
            q,
            k,
            v,
            out,
            weight.contiguous(),
            None,
            None,
            q.shape[2],
            k.shape[2],
            0.0,
            causal,
            unused,
            unused,
            scale=scale,
        )
    return written_out_gradients(up, q, k, v, out, weight, seen, causal=causal)


def merge(out: Tensor, weight: Tensor, more: Tensor, its: Tensor) -> None:
    """Puts what was found among more keys into ``out`` (fp32) and ``weight``, of which none is -inf, in place."""
    both = torch.logaddexp(weight, its)
    out.mul_((weight - both).exp()[..., None]).add_(more.float() * (its - both).exp()[..., None])
    weight.copy_(both)


def written_out(
    q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None = None, *, causal: bool = False
) -> tuple[Tensor, Tensor]:
    """``attend`` by plain operations, some queries at a time: for devices whose kernels take no mask."""
    B, H, _, K = q.shape
    G = k.shape[1]
    found, weights = [], []
    for rows in _slices(q, k):
        scores = _scores(q[:, :, rows], k, None if seen is None else seen[:, rows], rows if causal else None)
        weight = scores.logsumexp(-1)
        shares = (scores - weight.masked_fill(weight == -torch.inf, 0.0)[..., None]).exp().to(q.dtype)
        found.append((shares.view(B, G, -1, k.shape[2]) @ v).view(B, H, -1, K))
        weights.append(weight)
    return torch.cat(found, 2), torch.cat(weights, 2)


def written_out_gradients(
    up: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    weight: Tensor,
    seen: Tensor | None = None,
    *,
    causal: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """``gradients`` by plain operations."""
    B, H, _, K = q.shape
    G, S = k.shape[1:3]
    d_q, d_k, d_v = (
        torch.empty_like(q),
        torch.zeros_like(k, dtype=torch.float32),
        torch.zeros_like(v, dtype=torch.float32),
    )
    for rows in _slices(q, k):
        part, q_BGMK, up_BGMK = q[:, :, rows], q[:, :, rows].reshape(B, G, -1, K), up[:, :, rows].reshape(B, G, -1, K)
        scores = _scores(part, k, None if seen is None else seen[:, rows], rows if causal else None)
        shares = (scores - weight[:, :, rows, None]).exp()
        d_v += shares.view(B, G, -1, S).mT.to(v.dtype) @ up_BGMK
        d_shares = (up_BGMK @ v.mT).view(B, H, -1, S).float()
        own = (up[:, :, rows].float() * out[:, :, rows].float()).sum(-1, keepdim=True)
        d_scores = (shares * (d_shares - own) * K**-0.5).to(q.dtype).view(B, G, -1, S)
        d_q[:, :, rows] = (d_scores @ k).view(part.shape)
        d_k += d_scores.mT @ q_BGMK
    return d_q, d_k.to(k.dtype), d_v.to(v.dtype)


def _scores(q: Tensor, k: Tensor, seen: Tensor | None, rows: slice | None) -> Tensor:
    """``[B, H, T, S]`` in fp32; ``rows``: which queries these are, of which each sees keys up to its own number."""
    B, H, T, K = q.shape
    G, S = k.shape[1:3]
    scores = (q.reshape(B, G, -1, K) @ k.mT).view(B, H, T, S).float() * K**-0.5
    if rows is not None:
        seen = torch.ones(T, S, dtype=torch.bool, device=q.device).tril(rows.start)[None]
    return scores if seen is None else scores.masked_fill_(~seen[:, None], -torch.inf)


def _slices(q: Tensor, k: Tensor) -> Iterator[slice]:
    """Some queries at a time."""
    B, H, T, _ = q.shape
    step = max(1, SCORES // (B * H * k.shape[2]))
    return (slice(low, min(low + step, T)) for low in range(0, T, step))


def _bias(seen: Tensor, q: Tensor) -> Tensor:
    return torch.zeros(seen.shape, dtype=q.dtype, device=q.device).masked_fill_(~seen, -torch.inf)[:, None]


def _flash(q: Tensor) -> bool:
    half = q.dtype in (torch.bfloat16, torch.float16)
    return q.device.type == "cuda" and half and q.shape[-1] % 8 == 0 and q.shape[-1] <= 256
