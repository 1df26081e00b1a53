"""Self-attention: one function, with back ends that are chosen when it runs."""

from __future__ import annotations

import functools
import inspect
import math
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedstock.models import products, rope
from seedstock.models.cache import LayerCache
from seedstock.models.linear import Linear, together
from seedstock.models.mask import Attend, Mask
from seedstock.models.norms import RMSNorm


@dataclass(frozen=True)
class Sight:
    """A mask made ready for one pass: what every layer's attention shares."""

    backend: str
    causal: bool = False
    seen: Tensor | None = None
    """``sdpa``: boolean ``[B or 1, 1, T, S]``, or what is added to scores, ``[B or 1, 1 or H, T, S]``. ``products``:
    the latter, one for all heads."""
    starts: Tensor | None = None
    """``varlen``: where each document starts in the rows laid end to end, and the end."""
    blind: Tensor | None = None
    """``[B, 1, T, 1]``: queries that have nothing to see, and are given zeros."""
    along: Attend | None = None
    """Of a piece of a sequence: attention to the keys and values of all pieces."""


def across(mask: Mask, x_BTD: Tensor, keys: int) -> Sight:
    """``prepare`` for attention to another sequence, of which a document may have no part: it sees nothing then."""
    blind = mask.blind()
    if blind is None:
        return prepare(mask, x_BTD, keys)
    # For the softmax they see everything: a row that is hidden as a whole would be NaN.
    seen = mask.visible(x_BTD.shape[1], keys, x_BTD.device) | blind[:, :, None]
    if _written_out(x_BTD, keys):
        sight = Sight(
            "products", seen=torch.zeros_like(seen, dtype=x_BTD.dtype).masked_fill_(~seen, -math.inf)[:, None]
        )
    else:
        sight = Sight("sdpa", seen=seen[:, None])
    return replace(sight, blind=blind[:, None, :, None])


def _written_out(x_BTD: Tensor, keys: int) -> bool:
    return (
        x_BTD.device.type == "cpu" and x_BTD.dtype == torch.bfloat16 and x_BTD.shape[1] > 1 and keys <= products.LONGEST
    )


def prepare(mask: Mask, x_BTD: Tensor, keys: int, bias_HTS: Tensor | None = None) -> Sight:
    """Chooses the back end and builds what it needs, once a pass. ``keys`` counts what the cache holds as well.
    ``bias_HTS`` is added to the scores of each head.

    ``sdpa`` is the reference and runs everywhere; ``varlen`` is for packed documents on CUDA, ``products`` for
    short sequences in bf16 on a CPU.
    """
    queries = x_BTD.shape[1]
    device, dtype = x_BTD.device, x_BTD.dtype
    if mask.piece is not None:
        return _of_piece(mask, x_BTD)
    half = dtype in (torch.bfloat16, torch.float16)
    if bias_HTS is not None:
        hidden = ~mask.visible(queries, keys, device)[:, None]
        return Sight("sdpa", seen=bias_HTS.to(dtype)[None].masked_fill(hidden, -math.inf))
    causal = mask.pattern == "causal" and queries == keys and mask.window is None
    if device.type == "cuda" and half and causal and mask.documents is not None and _varlen():
        return Sight("varlen", starts=_starts(mask.documents))
    if _written_out(x_BTD, keys):
        hidden = ~mask.visible(queries, keys, device)[:, None]
        return Sight("products", seen=torch.zeros(hidden.shape, dtype=dtype).masked_fill_(hidden, -math.inf))
    if causal and mask.documents is None:
        return Sight("sdpa", causal=True)
    if mask.documents is None and mask.window is None and (mask.pattern == "full" or queries == 1):
        return Sight("sdpa")
    return Sight("sdpa", seen=mask.visible(queries, keys, device)[:, None])


def _of_piece(mask: Mask, x_BTD: Tensor) -> Sight:
    """``prepare`` for the queries of a piece: keys and values go round a ring, or those of the whole are gathered
    (all-gather, as Llama 3 did: Grattafiori et al. 2024, section 3.3.2), and where no run of queries looks ahead,
    those behind it are left out."""
    piece = mask.piece
    assert piece is not None
    if piece.ring is not None:
        return Sight("ring", along=piece.ring(mask, x_BTD.device))
    parts = []
    for run in piece.runs:
        keys = run.stop if mask.pattern == "causal" else piece.length
        seen = mask.between(run, slice(0, keys), x_BTD.device)[:, None]
        if _written_out(x_BTD, keys):
            bias = torch.zeros(seen.shape, dtype=x_BTD.dtype).masked_fill_(~seen, -math.inf)
            parts.append((keys, Sight("products", seen=bias)))
        else:
            parts.append((keys, Sight("sdpa", seen=seen)))

    def along(q_BHTK: Tensor, k_BGTK: Tensor, v_BGTK: Tensor) -> Tensor:
        k_BGSK, v_BGSK = piece.gather(torch.cat([k_BGTK, v_BGTK], 1)).chunk(2, 1)
        queries = q_BHTK.chunk(len(parts), 2)
        found = [
            attend(q, k_BGSK[:, :, :keys], v_BGSK[:, :, :keys], sight)
            for q, (keys, sight) in zip(queries, parts, strict=True)
        ]
        return torch.cat(found, 2) if len(found) > 1 else found[0]

    return Sight("gather", along=along)


def attend(q_BHTK: Tensor, k_BGSK: Tensor, v_BGSK: Tensor, sight: Sight) -> Tensor:
    """Scaled dot-product attention (Vaswani et al. 2017), keys and values shared by groups of heads (Ainslie et al.
    2023); scores' statistics in fp32. Returns ``[B, H, T, K]``."""
    if sight.backend == "products" and sight.seen is not None:
        return products.attend(q_BHTK, k_BGSK, v_BGSK, sight.seen)
    if sight.backend == "varlen" and sight.starts is not None:
        return _packed(q_BHTK, k_BGSK, v_BGSK, sight.starts)
    grouped = q_BHTK.shape[1] != k_BGSK.shape[1]
    return F.scaled_dot_product_attention(
        q_BHTK, k_BGSK, v_BGSK, attn_mask=sight.seen, is_causal=sight.causal, enable_gqa=grouped
    )


@functools.cache
def _varlen() -> bool:
    """Has torch its attention over sequences of varying length, in the form that is used here (from 2.12 on)?"""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return False
    known = inspect.signature(varlen_attn).parameters.keys()
    return {"window_size", "enable_gqa"} <= known and torch.cuda.get_device_capability() >= (8, 0)


def _starts(documents_BT: Tensor) -> Tensor:
    """Needs the number of documents, so the queue stops for it, once a pass; padded so that few shapes occur."""
    B, T = documents_BT.shape
    first = torch.ones(B, T, dtype=torch.bool, device=documents_BT.device)
    first[:, 1:] = documents_BT[:, 1:] != documents_BT[:, :-1]
    starts = first.flatten().nonzero().flatten()
    return F.pad(starts, (0, 64 - len(starts) % 64), value=B * T).to(torch.int32)


def _packed(q: Tensor, k: Tensor, v: Tensor, starts: Tensor) -> Tensor:
    from torch.nn.attention import varlen

    B, H, T, K = q.shape
    q, k, v = (x.transpose(1, 2).reshape(B * T, x.shape[1], K) for x in (q, k, v))
    out: Any = varlen.varlen_attn(q, k, v, starts, starts, T, T, window_size=(-1, 0), enable_gqa=k.shape[1] != H)
    return out.view(B, T, H, K).transpose(1, 2)


class Attention(nn.Module):
    """Queries, keys and values; norms of queries and keys by head (Henry et al. 2020) and rotary positions if asked."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.heads, self.groups, self.head_size = config.heads, config.kv_heads, config.head_size
        width, inner = config.width, config.head_size
        self.scale = config.attention_scale
        self.query = Linear(width, self.heads * inner, config.biases)
        self.key = Linear(width, self.groups * inner, config.biases and getattr(config, "key_biases", True))
        self.value = Linear(width, self.groups * inner, config.biases)
        self.output = Linear(self.heads * inner, width, config.biases)
        self.query_norm = RMSNorm(inner, config.norm_epsilon) if config.qk_norm else None
        self.key_norm = RMSNorm(inner, config.norm_epsilon) if config.qk_norm else None

    def forward(
        self,
        x_BTD: Tensor,
        angles: tuple[Tensor, Tensor] | None,
        sight: Sight,
        cache: LayerCache | None,
        source_BSD: Tensor | None = None,
    ) -> Tensor:
        """``x_BTD`` attends to itself, or to ``source_BSD`` where that is given."""
        B, T, _ = x_BTD.shape
        H, G, K = self.heads, self.groups, self.head_size
        if source_BSD is not None:
            return self._across(x_BTD, sight, cache, source_BSD)
        parts = together(x_BTD, self.query, self.key, self.value).view(B, T, H + 2 * G, K)
        q_BTHK, k_BTGK, v_BTGK = parts.split((H, G, G), 2)
        if self.query_norm is not None and self.key_norm is not None:
            q_BTHK, k_BTGK = self.query_norm(q_BTHK), self.key_norm(k_BTGK)
        q_BHTK, k_BGTK, v_BGTK = (x.transpose(1, 2) for x in (q_BTHK, k_BTGK, v_BTGK))
        if angles is not None:
            q_BHTK, k_BGTK = (rope.rotate(x, *angles) for x in (q_BHTK, k_BGTK))
        if self.scale is not None:
            q_BHTK = q_BHTK * (self.scale * K**0.5)  # kernels divide by the root of the head's size
        if cache is not None:
            k_BGTK, v_BGTK = cache.append(k_BGTK, v_BGTK)
        if sight.along is not None:
            out_BHTK = sight.along(q_BHTK, k_BGTK, v_BGTK)
        else:
            out_BHTK = attend(q_BHTK, k_BGTK, v_BGTK, sight)
        return self.output(out_BHTK.transpose(1, 2).reshape(B, T, H * K))

    def _across(self, x_BTD: Tensor, sight: Sight, cache: LayerCache | None, source_BSD: Tensor) -> Tensor:
        """Attention to another sequence, whose keys and values a cache keeps; without positions."""
        B, T, _ = x_BTD.shape
        H, G, K = self.heads, self.groups, self.head_size
        held = None if cache is None else cache.crossed.get("source")
        if held is None:
            held = together(source_BSD, self.key, self.value).view(B, -1, 2 * G, K).transpose(1, 2)
            if cache is not None:
                cache.crossed["source"] = held
        k_BGSK, v_BGSK = held.split((G, G), 1)
        q_BTHK = self.query(x_BTD).view(B, T, H, K)
        if self.query_norm is not None and self.key_norm is not None:
            q_BTHK, k_BGSK = self.query_norm(q_BTHK), self.key_norm(k_BGSK)
        if self.scale is not None:
            q_BTHK = q_BTHK * (self.scale * K**0.5)
        out_BHTK = attend(q_BTHK.transpose(1, 2), k_BGSK, v_BGSK, sight)
        if sight.blind is not None:
            out_BHTK = out_BHTK.masked_fill(sight.blind, 0.0)
        return self.output(out_BHTK.transpose(1, 2).reshape(B, T, H * K))
