"""Where passages of a text occur in token streams: a scan of the shards for shared n-grams, without an index.

Each n-gram of the text is hashed; a table of bits (as in a Bloom filter with one hash) sorts out almost every position
of a stream in a few passes of numpy, 64-bit hashes settle the rest, and hits that go on side by side in the text and in
the stream are joined into passages. Memory is bounded by one chunk.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from seedstock.inputs.shards import Shards

CHUNK = 1 << 22
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_BITS = np.uint64(64 - 22)
_MOST_OFFSETS = 8


@dataclass(frozen=True)
class Matches:
    """Passages that a text and a stream share, an entry each: int64 ``[M]``.

    ``positions`` in the stream and ``offsets`` in the text are where the passage starts; ``lengths`` are in tokens.
    """

    split: str
    stratum: int
    positions: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray


class Query:
    """A text's tokens (``[Q]``), ready to be looked for by n-grams of ``order`` tokens."""

    def __init__(self, tokens: np.ndarray, order: int) -> None:
        self.tokens, self.order = np.asarray(tokens, np.uint64), order
        grams = _hashes(self.tokens, order)
        self.hashes, self.first, self.gram_of = np.unique(grams, return_index=True, return_inverse=True)
        self.counts = np.zeros(len(self.hashes), np.int64)
        by_gram = np.argsort(self.gram_of, kind="stable")
        starts = np.searchsorted(self.gram_of[by_gram], np.arange(len(self.hashes) + 1))
        self._offsets = [by_gram[low : min(high, low + _MOST_OFFSETS)] for low, high in pairwise(starts)]
        self._table = np.zeros(1 << 22, bool)
        self._table[self.hashes >> _BITS] = True

    def information(self, positions: int) -> np.ndarray:
        """Bits that each n-gram of the text tells, by how often it was met: −log2((count + 1) / (positions + 1))."""
        return -np.log2((self.counts[self.gram_of] + 1) / (positions + 1))

    def scan(self, shards: Shards, split: str = "train") -> Iterator[Matches]:
        """Every maximal shared passage of at least ``order`` tokens; counts each n-gram on the way."""
        if not len(self.hashes):
            return
        for stratum in shards.strata(split):
            for begin in range(0, stratum.tokens, CHUNK):
                # One token before the chunk tells whether a passage began earlier; a whole text's length after it lets
                # a passage that begins inside come to its end.
                low = max(begin - 1, 0)
                high = min(begin + CHUNK + len(self.tokens), stratum.tokens)
                stream = shards.read(split, stratum.stratum, np.array([low]), high - low)[0].astype(np.uint64)
                yield self._passages(split, stratum.stratum, stream, low, begin, min(begin + CHUNK, stratum.tokens))

    def _passages(self, split: str, number: int, stream: np.ndarray, low: int, begin: int, end: int) -> Matches:
        places, grams = self._hits(stream)
        own = (places + low >= begin) & (places + low < end)
        self.counts += np.bincount(grams[own], minlength=len(self.counts))
        repeats = np.array([len(entry) for entry in self._offsets])[grams]
        offsets = np.concatenate([self._offsets[gram] for gram in grams]) if len(grams) else places
        places = np.repeat(places, repeats)
        # Hits on one diagonal (place − offset) that follow each other are one passage.
        order = np.lexsort((places, places - offsets))
        places, offsets = places[order], offsets[order]
        diagonal = places - offsets
        goes_on = (np.diff(places) == 1) & (np.diff(diagonal) == 0)
        first = np.flatnonzero(np.concatenate([[True], ~goes_on])) if len(places) else np.zeros(0, np.int64)
        runs = np.diff(np.append(first, len(places)))
        starts = places[first] + low
        ours = (starts >= begin) & (starts < end)
        return Matches(split, number, starts[ours], offsets[first][ours], runs[ours] + self.order - 1)

    def _hits(self, stream: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(places in the stream, n-grams of the text) that are equal."""
        hashes = _hashes(stream, self.order)
        places = np.flatnonzero(self._table[hashes >> _BITS])
        grams = np.searchsorted(self.hashes, hashes[places])
        grams = np.minimum(grams, len(self.hashes) - 1)
        same = self.hashes[grams] == hashes[places]
        return places[same], grams[same]


def _hashes(tokens: np.ndarray, order: int) -> np.ndarray:
    """A 64-bit hash of every n-gram (polynomial in an odd constant, then mixed), uint64 ``[len − order + 1]``."""
    count = max(0, len(tokens) - order + 1)
    found = np.zeros(count, np.uint64)
    for place in range(order):
        found *= _MULTIPLIER
        found += tokens[place : place + count] + np.uint64(1)
    found ^= found >> np.uint64(32)
    return found * _MULTIPLIER
