"""Representatives that every document is similar to itself: chains of similar documents are taken apart.

Greedy: of a cluster one stays; who is not similar to it is a cluster again, of which one stays, and so on. No two that
stay are similar to each other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seedstock.corpus.dedup import keep
from seedstock.corpus.dedup.config import MinHash
from seedstock.corpus.dedup.parts import Part
from seedstock.corpus.dedup.verify import Sets

ROUNDS = 64  # representatives of one cluster; what is like none of them then stays
BATCH = 1 << 17  # documents compared with their representative at once


def direct(
    best: np.ndarray,
    roots: np.ndarray,
    same: np.ndarray,
    settled: int,
    sets: Sets,
    step: MinHash,
    parts: Sequence[Part],
) -> np.ndarray:
    """Who stays for each row, int64 [rows], from who was chosen of its whole cluster (``best``).

    ``same`` int64 [rows] numbers equal texts. Documents of earlier corpora, the first ``settled`` rows, stand for
    the whole of their cluster.
    """
    best = best.copy()
    open_ = np.flatnonzero((best != np.arange(len(best))) & (best >= settled))
    for _ in range(ROUNDS):
        open_ = open_[best[open_] != open_]
        unlike = open_[~_alike(same[open_], same[best[open_]], sets, step.threshold)]
        if not len(unlike):
            return best
        groups = np.arange(len(best))
        # The first of each cluster's rest leads it; roots are the same for all of a cluster.
        _, first, inverse = np.unique(roots[unlike], return_index=True, return_inverse=True)
        groups[unlike] = unlike[first][inverse]
        best[unlike] = keep.choose(step.keep, parts, settled, groups)[unlike]
        open_ = unlike
    best[open_] = open_
    return best


def _alike(left: np.ndarray, right: np.ndarray, sets: Sets, threshold: float) -> np.ndarray:
    """Which pairs of texts are equal, or reach the threshold; bool."""
    found = left == right
    for at in range(0, len(left), BATCH):
        some = at + np.flatnonzero(~found[at : at + BATCH])
        sets.need(np.concatenate([left[some], right[some]]))
        found[some] = sets.similarity(left[some], right[some]) >= threshold
    return found
