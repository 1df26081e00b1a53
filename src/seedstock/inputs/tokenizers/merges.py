"""Learning the merges of byte-pair encoding from distinct words and how often each occurs.

At each step the pair of neighbouring symbols that occurs most often is merged everywhere; among equally frequent ones
the pair whose symbols have the lowest numbers, the left one first. Where a merged pair is written as a symbol that
exists, it becomes that symbol. (Sennrich, Haddow and Birch 2016, arXiv 1508.07909, algorithm 1.)
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from seedstock.inputs.tokenizers import native

Pair = tuple[int, int]


class _Words(Protocol):
    def best(self, least: int) -> Pair | None: ...

    def merge(self, pair: Pair, made: int) -> None: ...


def learn(
    symbols: np.ndarray,
    offsets: np.ndarray,
    counts: np.ndarray,
    names: Sequence[str],
    size: int,
    least: int,
    join: Callable[[str, str], str] = str.__add__,
) -> Iterator[tuple[Pair, int]]:
    """Yields (pair, the symbol that it becomes) until there are ``size`` symbols or no pair occurs ``least`` times.

    ``symbols`` int32 are those of all words, one word after another, word w being
    ``symbols[offsets[w]:offsets[w + 1]]``, which occurs ``counts[w]`` times. ``names`` are what the first symbols are
    written as; a merged one is written as ``join`` of its parts.
    """
    if len(symbols) >= 1 << 31:
        raise ValueError("the words have 2^31 symbols or more")
    symbols, offsets, counts = (
        np.ascontiguousarray(array, kind)
        for array, kind in ((symbols, np.int32), (offsets, np.int64), (counts, np.int64))
    )
    library = native.library()
    make = _Plain if library is None else _Native
    words: _Words = make(symbols, offsets, counts)
    number = {name: place for place, name in enumerate(names)}
    written = list(names)
    done: set[Pair] = set()
    while len(written) < size and (pair := words.best(least)):
        name = join(written[pair[0]], written[pair[1]])
        made = number.setdefault(name, len(written))
        if made == len(written):
            written.append(name)
        words.merge(pair, made)
        if pair not in done:  # a pair can come back where its parts have other sources
            done.add(pair)
            yield pair, made


class _Native:
    def __init__(self, symbols: np.ndarray, offsets: np.ndarray, counts: np.ndarray) -> None:
        self._library: Any = native.library()
        assert self._library is not None
        self._counts, self._turn, self._pair = counts, 1, np.zeros(2, np.int32)
        self._state = self._library.bpe_new(symbols, offsets, counts, len(counts))
        if not self._state:
            raise MemoryError

    def __del__(self) -> None:
        self._library.bpe_free(self._state)

    def best(self, least: int) -> Pair | None:
        found = self._library.bpe_best(self._state, least, self._pair)
        return (int(self._pair[0]), int(self._pair[1])) if found else None

    def merge(self, pair: Pair, made: int) -> None:
        self._turn += 1
        if self._library.bpe_merge(self._state, *pair, made, self._turn, self._counts):
            raise MemoryError


class _Plain:
    """The same in numpy: a merge looks at the places of its pair alone, all of them at once."""

    def __init__(self, symbols: np.ndarray, offsets: np.ndarray, counts: np.ndarray) -> None:
        size = len(symbols)
        lengths = np.diff(offsets)
        self._symbol = symbols.astype(np.int64)
        self._next = np.arange(1, size + 1)
        self._next[offsets[1:][lengths > 0] - 1] = -1
        self._previous = np.arange(-1, size - 1)
        self._previous[offsets[:-1][lengths > 0]] = -1
        self._weight = np.repeat(counts, lengths)
        self._count: dict[int, int] = {}
        self._places: dict[int, list[np.ndarray]] = {}
        self._heap: list[tuple[int, int]] = []
        self._add(np.flatnonzero(self._next >= 0))

    def best(self, least: int) -> Pair | None:
        while self._heap:
            count, key = self._heap[0]
            now = self._count.get(key, 0)
            if now >= max(1, least) and now == -count:
                return key >> 32, key & 0xFFFFFFFF
            if now >= max(1, least) and now < -count:
                heapq.heapreplace(self._heap, (-now, key))
            else:
                heapq.heappop(self._heap)
        return None

    def merge(self, pair: Pair, made: int) -> None:
        left, right = pair
        at = np.unique(np.concatenate(self._places.pop(left << 32 | right)))
        at = at[(self._symbol[at] == left) & (self._next[at] >= 0)]
        at = at[self._symbol[self._next[at]] == right]
        if left == right:  # overlapping ones merge from the left
            begins = np.ones(len(at), bool)
            begins[1:] = at[1:] != self._next[at[:-1]]
            inside = np.arange(len(at)) - np.maximum.accumulate(np.where(begins, np.arange(len(at)), 0))
            at = at[inside % 2 == 0]
        second = self._next[at]
        before = np.unique(np.concatenate([self._previous[at], at, second]))
        self._change(before[(before >= 0) & (self._next[before] >= 0)], -1)
        after = self._next[second]
        self._symbol[at], self._symbol[second] = made, -1
        self._next[at] = after
        self._previous[after[after >= 0]] = at[after >= 0]
        around = np.unique(np.concatenate([self._previous[at], at]))
        self._add(around[(around >= 0) & (self._next[around] >= 0)])

    def _keys(self, places: np.ndarray) -> np.ndarray:
        return self._symbol[places] << 32 | self._symbol[self._next[places]]

    def _change(self, places: np.ndarray, sign: int) -> list[int]:
        """Adds the weights of pairs at places to their counts, or takes them away; the keys of the pairs."""
        order = np.argsort(keys := self._keys(places), kind="stable")
        keys = keys[order]
        begins = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]][: len(keys)])
        sums = np.add.reduceat(self._weight[places][order], begins) if len(begins) else begins
        changed = keys[begins].tolist()
        for key, weight in zip(changed, sums.tolist(), strict=True):
            self._count[key] = self._count.get(key, 0) + sign * weight
        return changed

    def _add(self, places: np.ndarray) -> None:
        changed = self._change(places, 1)
        order = np.argsort(keys := self._keys(places), kind="stable")
        ordered, keys = places[order], keys[order]
        ends = np.r_[np.flatnonzero(keys[1:] != keys[:-1]) + 1, len(keys)]
        begin = 0
        for key, end in zip(changed, ends.tolist(), strict=False):
            self._places.setdefault(key, []).append(ordered[begin:end])
            begin = end
            if self._count[key] > 0:
                heapq.heappush(self._heap, (-self._count[key], key))
