"""Clusters of duplicate documents, and which member stands for the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Clusters:
    """What deduplication found, over all rows handed in.

    cluster_of      int64 [rows]: the cluster, numbered from 0 by first member; -1 where a document stands alone
    representative  bool [rows]: whether it stays; True where a document stands alone. A cluster has several where not
                    all of it is like one of them, and none where an earlier corpus kept its content
    kind            str [rows]: "" alone; the step that a duplicate was found by, and "exact" where that compares texts
                    and its text equals that of the document it was dropped for (of a representative: the kind of its
                    cluster, "exact" only where all are)
    why             str [rows]: of representatives, why they were chosen; "" elsewhere
    stands_for      int64 [rows]: the row that stays for each row (itself where it stays); -1 where an earlier document
                    does
    matched         int64 [rows]: the row, counted over the rows of earlier corpora, of the earlier document that stands
                    for this one; -1 where there is none
    size_of         int64 [rows]: how many documents are represented by the one that stays for this one, itself
                    included and documents of earlier corpora left out; 1 where a document stands alone
    """

    cluster_of: np.ndarray
    representative: np.ndarray
    kind: np.ndarray
    why: np.ndarray
    stands_for: np.ndarray
    matched: np.ndarray
    size_of: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """Members of each cluster, those of earlier corpora left out: int64 [clusters]."""
        return np.bincount(self.cluster_of[self.cluster_of >= 0])


class Forest:
    """Disjoint sets of row numbers (union-find); the root of a set is its smallest member."""

    def __init__(self, rows: int) -> None:
        self.parent = np.arange(rows, dtype=np.int64)

    def root(self, row: int) -> int:
        parent = self.parent
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = int(parent[row])
        return row

    def roots(self) -> np.ndarray:
        """The root of every row, int64 [rows]."""
        # Parents are never larger than their children, so pointer jumping ends.
        while True:
            above = self.parent[self.parent]
            if np.array_equal(above, self.parent):
                return self.parent
            self.parent = above

    def join(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Unites the sets of each pair."""
        for left, right in pairs:
            a, b = self.root(left), self.root(right)
            self.parent[max(a, b)] = min(a, b)

    def follow(self, other: Forest) -> None:
        """Unites what ``other``, a forest over the same rows, has united."""
        roots = other.roots()
        rows = np.flatnonzero(roots != np.arange(len(roots)))
        if np.array_equal(self.parent, np.arange(len(self.parent))):
            self.parent = roots.copy()
        else:
            self.join(zip(roots[rows].tolist(), rows.tolist(), strict=True))


class Record:
    """What the steps decide, one after the other: who goes, for whom, and why who stayed was chosen.

    Rows below ``settled`` are those of earlier corpora.
    """

    def __init__(self, rows: int, settled: int, same: np.ndarray) -> None:
        self.rows, self.settled, self.same = rows, settled, same
        self.forest = Forest(rows)
        self.alive = np.ones(rows, bool)
        self.kinds: list[str] = [""]
        self.kind = np.zeros(rows, np.int8)
        self.stands_for = np.arange(rows, dtype=np.int64)
        self.why: dict[int, list[str]] = {}

    def decide(self, kind: str, roots: np.ndarray, best: np.ndarray, why: str, texts: bool = True) -> None:
        """Enters a step's clusters: ``roots`` and ``best`` int64 [rows] are each row's root and who stands for it.

        ``why`` says why those that stand for others were chosen; ``texts`` is False where the step compared media,
        whose captions may be equal for no reason of its own.
        """
        gone = np.flatnonzero(self.alive & (best != np.arange(self.rows)))
        gone = gone[gone >= self.settled]
        equal = self.same[gone] == self.same[best[gone]]
        self.kind[gone] = np.where(equal & texts, self._number("exact"), self._number(kind))
        self.stands_for[gone] = best[gone]
        self.alive[gone] = False
        step = Forest(self.rows)
        step.parent = roots
        self.forest.follow(step)
        for row in np.unique(best[gone]).tolist():
            self.why.setdefault(row, []).append(f"{kind}: {why}")

    def _number(self, kind: str) -> int:
        if kind not in self.kinds:
            self.kinds.append(kind)
        return self.kinds.index(kind)

    def clusters(self) -> Clusters:
        """The clusters of all steps together, over the rows that are not an earlier corpus'."""
        roots = self.forest.roots()
        new = slice(self.settled, None)
        _, inverse, sizes = np.unique(roots[new], return_inverse=True, return_counts=True)
        known = np.zeros(len(sizes), bool)
        known[inverse] = roots[new] < self.settled
        shared = (sizes > 1) | known
        numbers = np.where(shared, np.cumsum(shared) - 1, -1)
        cluster_of = numbers[inverse].astype(np.int64)
        alive = self.alive[new].copy()
        kind = self._kinds_of(cluster_of, alive, int(shared.sum()))
        why = np.full(len(alive), "", object)
        for row, reasons in self.why.items():
            if row >= self.settled and self.alive[row]:
                why[row - self.settled] = "; ".join(reasons)
        # Whom a dropped document was dropped for may have been dropped by a later step.
        last = Forest(self.rows)
        last.parent = self.stands_for
        while not np.array_equal(above := last.parent[last.parent], last.parent):
            last.parent = above
        known_by = last.parent[new] < self.settled
        matched = np.where(known_by, last.parent[new], -1)
        stands_for = np.where(known_by, -1, last.parent[new] - self.settled)
        size_of = np.bincount(last.parent[new], minlength=self.rows)[last.parent[new]].astype(np.int64)
        return Clusters(cluster_of, alive, kind, why, stands_for, matched, size_of)

    def _kinds_of(self, cluster_of: np.ndarray, alive: np.ndarray, clusters: int) -> np.ndarray:
        codes = self.kind[self.settled :].copy()
        # A representative has the kind by which most of its cluster were found, "exact" last.
        order = [code for code in range(1, len(self.kinds)) if self.kinds[code] != "exact"]
        order += [code for code in range(1, len(self.kinds)) if self.kinds[code] == "exact"]
        inside = cluster_of >= 0
        of_cluster = np.zeros(clusters, np.int8)
        for code in reversed(order):
            of_cluster[cluster_of[inside & (codes == code)]] = code
        stays = inside & alive
        codes[stays] = of_cluster[cluster_of[stays]]
        return np.array(self.kinds, object)[codes]
