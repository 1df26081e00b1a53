"""Count models: what a table of n-gram counts predicts, the floor that a network has to beat.

Witten-Bell smoothing, interpolated (Witten & Bell 1991, method C, in the recursive form of Chen & Goodman 1998,
section 2.6). With h the n symbols before b, c(h b) how often b followed h in training, c(h) the sum of that over b,
and d(h) the number of different symbols that followed h:

    P_n(b | h) = (c(h b) + d(h) P_{n-1}(b | h')) / (c(h) + d(h)),     P_n = P_{n-1} where c(h) = 0,

where h' is h without its oldest symbol and P_{-1} is uniform over the alphabet. Each document is preceded by start
symbols, which are part of contexts and never predicted, so no context crosses documents.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_CHUNK = 1 << 22  # symbols counted at once: bounds the memory of the sort


@dataclass(frozen=True)
class _Table:
    """One order: sorted n-grams with their counts, sorted contexts with their total and number of followers."""

    grams: np.ndarray
    counts: np.ndarray
    contexts: np.ndarray
    totals: np.ndarray
    followers: np.ndarray


class CountModel:
    """Counts of all n-grams up to ``order`` over an alphabet of ``vocabulary`` symbols.

    An n-gram is packed into 64 bits with the predicted symbol on top and the older ones below, so that the n-grams of
    every order are prefixes of one sorted array. Raises ValueError where they do not fit.
    """

    def __init__(self, vocabulary: int, order: int) -> None:
        self.vocabulary, self.order = vocabulary, order
        self.bits = vocabulary.bit_length()  # the start symbol is number ``vocabulary``
        if self.bits * (order + 1) > 64:
            raise ValueError(f"order {order} over {vocabulary} symbols does not fit into 64 bits")
        self.symbols = 0
        self._pending: list[tuple[np.ndarray, np.ndarray]] = []
        self._tables: list[_Table] | None = None

    @classmethod
    def fitting(cls, vocabulary: int, order: int) -> CountModel:
        """The model of the highest order up to ``order`` whose n-grams fit into 64 bits."""
        return cls(vocabulary, min(order, 64 // vocabulary.bit_length() - 1))

    def add(self, symbols: np.ndarray, lengths: np.ndarray) -> None:
        """Counts documents: ``symbols`` ``[N]`` of all of them in a row, ``lengths`` ``[D]`` of each, summing to N."""
        self.symbols += len(symbols)
        self._tables = None
        for piece, sizes in _pieces(symbols, lengths):
            self._pending.append(_runs(np.sort(self._keys(piece, sizes))))
            if len(self._pending) > 1 and sum(len(keys) for keys, _ in self._pending[1:]) > max(
                2 * _CHUNK, len(self._pending[0][0])
            ):
                self._pending = [_merge(self._pending)]

    def witten_bell(self, symbols: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Nats of every symbol under the models of order 0 to ``order``: ``[order + 1, N]``."""
        nats = np.empty((self.order + 1, len(symbols)))
        keys = self._keys(symbols, lengths)
        lower = np.full(len(symbols), 1 / self.vocabulary)
        for n, table in enumerate(self._built()):
            count, total, followers = self._look_up(table, keys, n)
            denominator = np.maximum(total + followers, 1)
            lower = np.where(total > 0, (count + followers * lower) / denominator, lower)
            nats[n] = -np.log(lower)
        return nats

    def additive(self, symbols: np.ndarray, lengths: np.ndarray, extra: float = 0.1) -> np.ndarray:
        """Nats under (c(h b) + extra) / (c(h) + extra · vocabulary), orders 0 to ``order``: ``[order + 1, N]``."""
        nats = np.empty((self.order + 1, len(symbols)))
        keys = self._keys(symbols, lengths)
        for n, table in enumerate(self._built()):
            count, total, _ = self._look_up(table, keys, n)
            nats[n] = -np.log((count + extra) / (total + extra * self.vocabulary))
        return nats

    def _keys(self, symbols: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """The packed n-gram of the highest order that ends at each symbol: uint64 ``[N]``."""
        if len(symbols) and int(symbols.max()) >= self.vocabulary:
            raise ValueError(f"symbol {int(symbols.max())} is not below {self.vocabulary}")
        lengths = np.asarray(lengths, np.int64)
        size = len(symbols) + self.order * len(lengths)
        inside = np.ones(size, bool)
        first = np.cumsum(lengths) - lengths + self.order * np.arange(len(lengths))
        inside[(first[:, None] + np.arange(self.order)).ravel()] = False
        padded = np.full(size, self.vocabulary, np.uint64)
        padded[inside] = symbols
        keys = np.zeros(size, np.uint64)
        for back in range(self.order + 1):
            shift = np.uint64(self.bits * (self.order - back))
            keys[back:] |= padded[: size - back] << shift
        return keys[inside]

    def _built(self) -> list[_Table]:
        """The tables of every order, derived from the sorted n-grams of the highest."""
        if self._tables is None:
            keys, counts = _merge(self._pending) if self._pending else (np.zeros(0, np.uint64), np.zeros(0, np.int64))
            self._pending = [(keys, counts)]
            self._tables = [self._derive(keys, counts, n) for n in range(self.order + 1)]
        return self._tables

    def _derive(self, keys: np.ndarray, counts: np.ndarray, n: int) -> _Table:
        grams, counts = _runs(keys >> np.uint64(self.bits * (self.order - n)), counts)
        contexts = grams & _low(self.bits * n)
        by_context = np.argsort(contexts, kind="stable")
        contexts, starts = _starts(contexts[by_context])
        totals = np.add.reduceat(counts[by_context], starts) if len(starts) else counts
        followers = np.diff(starts, append=len(grams))
        return _Table(grams, counts, contexts, totals, followers)

    def _look_up(self, table: _Table, keys: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """c(h b), c(h) and d(h) of each n-gram."""
        grams = keys >> np.uint64(self.bits * (self.order - n))
        (count,) = _find(table.grams, grams, table.counts)
        total, followers = _find(table.contexts, grams & _low(self.bits * n), table.totals, table.followers)
        return count, total, followers


def _low(bits: int) -> np.uint64:
    return np.uint64((1 << bits) - 1)


def _starts(ordered: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct values of a sorted array, and where each begins."""
    first = np.ones(len(ordered), bool)
    first[1:] = ordered[1:] != ordered[:-1]
    starts = np.flatnonzero(first)
    return ordered[starts], starts


def _runs(ordered: np.ndarray, counts: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The distinct values of a sorted array, and how often each occurs (or the sum of its ``counts``)."""
    values, starts = _starts(ordered)
    if counts is None:
        return values, np.diff(starts, append=len(ordered))
    return values, np.add.reduceat(counts, starts) if len(starts) else counts


def _merge(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    if len(parts) == 1:
        return parts[0]
    keys = np.concatenate([keys for keys, _ in parts])
    counts = np.concatenate([counts for _, counts in parts])
    order = np.argsort(keys, kind="stable")  # sorted runs merge in linear time
    return _runs(keys[order], counts[order])


def _find(table: np.ndarray, wanted: np.ndarray, *columns: np.ndarray) -> list[np.ndarray]:
    """The rows of ``columns`` where ``table`` holds ``wanted``, zero where it does not."""
    if not len(table):
        return [np.zeros(len(wanted), np.int64) for _ in columns]
    at = np.minimum(np.searchsorted(table, wanted), len(table) - 1)
    found = table[at] == wanted
    return [np.where(found, column[at], 0) for column in columns]


def _pieces(symbols: np.ndarray, lengths: np.ndarray):
    """Whole documents in pieces of about ``_CHUNK`` symbols."""
    ends = np.cumsum(lengths, dtype=np.int64)
    first = 0
    while first < len(lengths):
        begin = ends[first] - lengths[first]
        last = max(first + 1, int(np.searchsorted(ends, begin + _CHUNK, side="right")))
        yield symbols[begin : ends[last - 1]], lengths[first:last]
        first = last
