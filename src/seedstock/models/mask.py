"""Who may look at whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Queries ``[B, H, T, K]``, keys and values ``[B, G, T, K]`` of a piece → what its queries find in the whole."""


@dataclass(frozen=True)
class Piece:
    """Which positions of a longer sequence are here, in runs of equal length; other processes hold the others."""

    runs: tuple[slice, ...]
    """Where they stand, in the order in which they lie here."""
    length: int
    """Positions of the whole."""
    gather: Callable[[Tensor], Tensor]
    """From keys or values here ``[B, G, T, K]`` to those of the whole ``[B, G, length, K]``."""
    add: Callable[[Tensor], Tensor]
    """A tensor added up over all pieces; the gradient of the sum is each term's."""
    ring: Callable[[Mask, torch.device], Attend] | None = None
    """Where keys and values are passed round in the place of being gathered: attention under a mask."""

    def cut(self, x: Tensor, dim: int = 1) -> Tensor:
        """This piece of what has all positions along ``dim``: always a copy, which keeps nothing of the whole."""
        return torch.cat([x.narrow(dim, run.start, run.stop - run.start) for run in self.runs], dim)


@dataclass(frozen=True)
class Mask:
    """A pattern, narrowed to documents.

    ``causal``: each position sees itself and what comes before; ``full``: everything; ``prefix``: causal, and besides
    everybody sees the positions where ``prefix`` holds; ``blocks``: each position sees all of its own block and of
    those before it (Arriola et al. 2025, BD3-LM). A position never sees another document. Padding is a document
    too (any number of its own), so that no row of scores is ever wholly hidden.
    """

    pattern: Literal["causal", "full", "prefix", "blocks"] = "causal"
    documents: Tensor | None = None
    """``[B, T]``: the document of each position; None where every row is one document."""
    prefix: Tensor | None = None
    """``[B, T]``, boolean: with ``prefix`` alone."""
    window: int | None = None
    """How far a position sees to either side; None: everything that the pattern allows."""
    blocks: Tensor | None = None
    """``[B or 1, T]``: with ``blocks`` alone: the block of each position, counted in its document."""
    noisy: Tensor | None = None
    """``[T]``, boolean, with ``blocks``: positions of a second, corrupted copy. They are seen from their own block of
    the copy alone, and see that instead of the same block of the first."""
    sources: Tensor | None = None
    """``[B, S]``: the documents of the keys where they are another sequence's; ``documents`` are the queries' then."""
    piece: Piece | None = None
    """Where the queries are a piece of a sequence: ``documents`` and ``prefix`` are those of the whole then."""

    def __post_init__(self) -> None:
        if (self.pattern == "prefix") != (self.prefix is not None):
            raise ValueError("a prefix mask needs `prefix`, and no other has one")
        if (self.pattern == "blocks") != (self.blocks is not None):
            raise ValueError("a mask over blocks needs `blocks`, and no other has any")

    @classmethod
    def over(cls, documents: Tensor | None, pattern: Literal["causal", "full"] = "causal") -> Mask:
        """A mask over documents, without them where no row has more than one and none has padding.

        That look costs a GPU's queue a stop, so it is taken on the CPU alone.
        """
        if (
            documents is not None
            and documents.device.type == "cpu"
            and bool(((documents == documents[:, :1]) & (documents >= 0)).all())
        ):
            documents = None
        return cls(pattern, documents)

    def visible(self, queries: int, keys: int, device: torch.device) -> Tensor:
        """Boolean ``[B or 1, T, S]``: may query t, the (S - T + t)-th position, see key s?"""
        if self.sources is None:
            return self.between(slice(keys - queries, keys), slice(0, keys), device)
        if self.documents is None:
            return torch.ones(1, queries, keys, dtype=torch.bool, device=device)
        return self.documents[:, :, None] == self.sources[:, None, :]

    def between(self, queries: slice, keys: slice, device: torch.device) -> Tensor:
        """Boolean ``[B or 1, T, S]``: may these positions of the sequence see those?"""
        own, at = (torch.arange(one.start, one.stop, device=device) for one in (queries, keys))
        if self.blocks is not None:
            seen = self._by_blocks(queries, keys)
        elif self.pattern == "full":
            seen = torch.ones(1, len(own), len(at), dtype=torch.bool, device=device)
        else:
            seen = (at[None, :] <= own[:, None])[None]
        if self.window is not None:
            seen = seen & ((at[None, :] - own[:, None]).abs() <= self.window)
        if self.prefix is not None:
            seen = seen | self.prefix[:, None, keys]
        if self.documents is not None:
            seen = seen & (self.documents[:, queries, None] == self.documents[:, None, keys])
        return seen

    def _by_blocks(self, queries: slice, keys: slice) -> Tensor:
        assert self.blocks is not None
        mine, theirs = self.blocks[:, queries, None], self.blocks[:, None, keys]
        if self.noisy is None:
            return theirs <= mine
        noisy, copied = self.noisy[queries, None], self.noisy[None, keys]
        clean = ~copied & ((theirs < mine) | (~noisy & (theirs == mine)))
        return clean | (copied & noisy & (theirs == mine))

    def blind(self) -> Tensor | None:
        """Boolean ``[B, T]``: queries whose document has no part in another sequence's keys; None where that is
        impossible."""
        if self.documents is None or self.sources is None:
            return None
        return ~(self.documents[:, :, None] == self.sources[:, None, :]).any(-1)
