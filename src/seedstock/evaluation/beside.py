"""What counts make of a hidden token whose two neighbours are known: the floor of models that look both ways.

With b between the tokens l and r, and P the Witten-Bell model of order 1 (see ``counts``),

    P(b | l, r) = P(b | l) P(r | b) / Σ_c P(c | l) P(r | c),

which is what follows from pairs alone, l and r being independent given b. Before a document's first token and after
its last one stands a symbol of its own, so that every token has two neighbours.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from seedstock.evaluation.tally import ratio

SAMPLE = 1 << 26  # products at most: positions times vocabulary; of more positions evenly many are scored
ROWS = 1 << 22  # of them at once


class Beside:
    """Counts of pairs over an alphabet of ``vocabulary`` symbols; the document's edge is one more."""

    def __init__(self, vocabulary: int) -> None:
        self.vocabulary = vocabulary
        self._pairs: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, symbols: np.ndarray, lengths: np.ndarray) -> None:
        """Counts documents: ``symbols`` ``[N]`` of all of them in a row, ``lengths`` ``[D]`` of each."""
        left, own, _ = self._around(symbols, lengths)
        last = np.cumsum(lengths) - 1
        ends = symbols[last].astype(np.int64) * (self.vocabulary + 1) + self.vocabulary
        keys = np.concatenate([left * (self.vocabulary + 1) + own, ends])
        self._pairs.append(np.unique(keys, return_counts=True))

    def score(self, documents: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, Any]:
        """Mean nats of a token given its neighbours, and its standard error over documents."""
        columns = [self._around(symbols, lengths) for symbols, lengths in documents]
        left, own, right = (np.concatenate(part) for part in zip(*columns, strict=True))
        sizes = np.concatenate([lengths for _, lengths in documents])
        wanted = max(1, SAMPLE // (self.vocabulary + 1))
        chosen = np.arange(len(own)) if len(own) <= wanted else np.linspace(0, len(own) - 1, wanted).astype(np.int64)
        nats = self.nats(left[chosen], own[chosen], right[chosen])
        owners = np.searchsorted(np.cumsum(sizes), chosen, side="right")
        value, error = ratio(np.bincount(owners, nats, len(sizes)), np.bincount(owners, minlength=len(sizes)))
        return {
            "nats_per_token": value,
            "standard_error": error,
            "tokens": len(chosen),
            "model": "P(b | left) P(right | b), Witten-Bell pairs",
        }

    def nats(self, left: np.ndarray, own: np.ndarray, right: np.ndarray) -> np.ndarray:
        """``[N]``: the surprise of each ``own`` between its neighbours, int64 ``[N]`` each."""
        size = self.vocabulary + 1
        keys, counts = _sum(self._pairs)
        first, second = np.divmod(keys, size)
        totals, followers = np.bincount(first, counts, size), np.bincount(first, minlength=size)
        single, kinds = np.bincount(second, counts, size), len(np.unique(second))
        single = (single + kinds / size) / (counts.sum() + kinds)  # order 0, over the alphabet and the edge
        back = np.where(totals > 0, followers / np.maximum(totals + followers, 1), 1.0)
        seen = counts / (totals + followers)[first]
        after = np.searchsorted(first, np.arange(size + 1))  # pairs lie by their first symbol
        by_second = np.argsort(second, kind="stable")
        before = np.searchsorted(second[by_second], np.arange(size + 1))
        found = np.empty(len(own))
        step = max(1, ROWS // size)
        for start in range(0, len(own), step):
            rows = slice(start, start + step)
            given = back[left[rows], None] * single[None]
            at, pair = _ragged(after, left[rows])
            given[at, second[pair]] += seen[pair]
            follows = back[None] * single[right[rows], None]
            at, pair = _ragged(before, right[rows])
            pair = by_second[pair]
            follows[at, first[pair]] += seen[pair]
            both = (given * follows)[:, : self.vocabulary]  # the edge is never between two tokens
            found[rows] = np.log(both.sum(1)) - np.log(both[np.arange(len(both)), own[rows]])
        return found

    def _around(self, symbols: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The left neighbour, the symbol and the right neighbour at every place."""
        own = symbols.astype(np.int64)
        ends = np.cumsum(lengths)
        left, right = np.roll(own, 1), np.roll(own, -1)
        left[ends - lengths] = right[ends - 1] = self.vocabulary
        return left, own, right


def _sum(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    keys, which = np.unique(np.concatenate([keys for keys, _ in parts]), return_inverse=True)
    return keys, np.bincount(which, np.concatenate([counts for _, counts in parts]), len(keys))


def _ragged(starts: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows of ``starts``' groups ``chosen``, one after another, and which of ``chosen`` each belongs to."""
    sizes = starts[chosen + 1] - starts[chosen]
    at = np.repeat(np.arange(len(chosen)), sizes)
    offsets = np.arange(len(at)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return at, starts[chosen][at] + offsets
