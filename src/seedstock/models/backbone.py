"""The one transformer: a stack of blocks and a last norm; one after another where a target reads a source."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from seedstock.models import attention as self_attention
from seedstock.models import rope
from seedstock.models.block import Block, conditioned
from seedstock.models.cache import Cache
from seedstock.models.convolution import reach
from seedstock.models.dropout import Dropout
from seedstock.models.experts import Routed
from seedstock.models.keys import key64
from seedstock.models.mask import Mask
from seedstock.models.norms import norm
from seedstock.models.relative import RelativeBias


@dataclass
class Output:
    """What the backbone gives: the last hidden state, every layer's for who asks, and losses of its own.

    ``aux`` holds the sum over sequences of each loss that ``config.auxiliary`` names, its coefficient in it.
    """

    hidden: Tensor
    layers: list[Tensor] = field(default_factory=list)
    aux: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """Another sequence, embedded: what an encoder-decoder's backbone reads first and its decoder attends to."""

    x: Tensor
    """``[B, S, D]``."""
    positions: Tensor
    attention: Mask
    """Who sees whom in the source; its ``documents`` are also which of its positions a target of that document sees."""


class Backbone(nn.Module):
    """A stack of blocks, after another that reads the source where there is one. Knows nothing of tokens or losses."""

    def __init__(self, config: Any, seed: int) -> None:
        super().__init__()
        self.config = config
        if config.cross:
            self.encoder = Backbone(config.encoder(), key64("encoder", seed))
        self.relative = RelativeBias(config) if config.position == "relative" else None
        self.blocks = nn.ModuleList(Block(config, layer, seed) for layer in range(config.depth))
        # Post-norm blocks end in a norm of their own.
        self.norm = nn.Identity() if config.post_norm else norm(config.norm, config.width, config.norm_epsilon)
        self.dropout = Dropout(config.dropout, seed, "backbone") if config.last_dropout else None

    def forward(
        self,
        x: Tensor,
        positions: Tensor,
        attention: Mask,
        cross: Source | None = None,
        condition: Tensor | None = None,
        cache: Cache | None = None,
        examples: Tensor | None = None,
        keep_layers: bool = False,
        only: range | None = None,
    ) -> Output:
        """``x`` ``[B, T, D]``, ``positions`` ``[B or 1, T]``, ``examples`` ``[B]`` (the key of dropout) → Output.

        ``cross`` is for backbones with ``config.cross``, which may leave it out where a cache holds it; ``condition``
        ``[B, D]`` is for those with ``config.conditioned``, which insist on it. Raises NotImplementedError elsewhere.
        ``only`` are the layers to go through, where others are another process's: ``x`` is what the first of them
        reads, and the last norm comes after the last of all.
        """
        if (condition is not None) != conditioned(self.config) or (cross is not None and not self.config.cross):
            raise NotImplementedError("its blocks attend to no other sequence (cross), or take no condition")
        source = self._read(cross, attention, x, examples, cache) if self.config.cross else None
        sights = self._sights(attention, x, positions, cache)
        angles = self._angles(positions, x.dtype)
        near = reach(positions, self.config.convolution, x.dtype) if self.config.convolution else None
        routed = self._routed(attention, x) if self.config.experts else None
        layers = []
        for number, block in enumerate(self.blocks):
            if only is not None and number not in only:
                continue
            local = self.config.is_local(number)
            given = cache.layer(number) if cache else None
            x = block(x, angles[local], sights[local], given, examples, near, source, routed, condition)
            if keep_layers:
                layers.append(x)
        if cache is not None:
            cache.advance(x.shape[1])
        losses = {} if routed is None else routed.losses(self.config)
        if only is not None:
            losses = {name: loss * (len(only) / self.config.depth) for name, loss in losses.items()}
            if only.stop < self.config.depth:
                return Output(x, layers, losses)
        hidden = self.norm(x)
        hidden = hidden if self.dropout is None else self.dropout(hidden, examples)
        return Output(hidden, layers, losses)

    def through(
        self, block: Block, x: Tensor, positions: Tensor, attention: Mask, examples: Tensor | None = None
    ) -> Tensor:
        """``x`` ``[B, T, D]``, a layer's output, through another layer that is like this stack's last, and its norm."""
        local = self.config.is_local(self.config.depth - 1)
        near = reach(positions, self.config.convolution, x.dtype) if self.config.convolution else None
        sight, angles = self._sights(attention, x, positions, None)[local], self._angles(positions, x.dtype)[local]
        return self.norm(block(x, angles, sight, None, examples, near))

    def _routed(self, attention: Mask, x: Tensor) -> Routed:
        return Routed(_real(attention, x), None if attention.piece is None else attention.piece.add)

    def _sights(
        self, attention: Mask, x: Tensor, positions: Tensor, cache: Cache | None
    ) -> dict[bool, self_attention.Sight]:
        """What layers see that look everywhere (False), and those that look near by (True) where there are any."""
        keys = x.shape[1] + (cache.filled if cache else 0)
        bias = self.relative(x.shape[1], keys, attention.pattern == "full") if self.relative is not None else None
        found = {False: self_attention.prepare(attention, x, keys, bias)}
        if self.config.window is not None:
            found[True] = self_attention.prepare(replace(attention, window=self.config.window), x, keys, bias)
        return found

    def _angles(self, positions: Tensor, dtype: torch.dtype) -> dict[bool, tuple[Tensor, Tensor] | None]:
        """Rotary angles of global and of local layers."""
        config = self.config
        found: dict[bool, tuple[Tensor, Tensor] | None] = {}
        for local in (False, True) if config.window is not None else (False,):
            if config.position != "rope":
                found[local] = None
                continue
            base = config.local_rope_base if local and config.local_rope_base else config.rope_base
            cosines, sines = rope.angles(positions, config.head_size, base, config.rope_scaling)
            found[local] = cosines.to(dtype), sines.to(dtype)
        return found

    def _read(
        self, cross: Source | None, attention: Mask, x: Tensor, examples: Tensor | None, cache: Cache | None
    ) -> tuple[Tensor, self_attention.Sight]:
        """The encoded source, and what the target sees of it; a cache keeps the first."""
        if cache is not None and cache.source is not None:
            hidden, documents = cache.source, cache.source_documents
        elif cross is not None:
            hidden = self.encoder(cross.x, cross.positions, cross.attention, examples=examples).hidden
            documents = cross.attention.documents
        else:
            raise ValueError("this backbone reads a source: hand it one (cross)")
        if cache is not None:
            cache.source, cache.source_documents = hidden, documents
        if documents is None:
            return hidden, self_attention.prepare(Mask("full"), x, hidden.shape[1])
        own = attention.documents
        if own is None:  # the target is not divided: it sees all that is not padding
            own, documents = torch.zeros(x.shape[:2], dtype=documents.dtype, device=x.device), documents.clamp(max=0)
        return hidden, self_attention.across(Mask("full", own, sources=documents), x, hidden.shape[1])


def _real(attention: Mask, x: Tensor) -> Tensor | None:
    """Which positions are no padding (a document with a negative number); None where all are."""
    documents, piece = attention.documents, attention.piece
    if documents is not None and piece is not None:
        documents = piece.cut(documents)
    return None if documents is None or documents.shape != x.shape[:2] else documents >= 0
