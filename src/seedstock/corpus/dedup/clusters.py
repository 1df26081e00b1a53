"""Clusters of duplicate documents, and which member stands for the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Clusters:
    """What deduplication found, over all rows handed in.

    cluster_of      int64 [rows]: the cluster, numbered from 0 by first member; -1 where a document stands alone
    representative  bool [rows]: the longest text of its cluster, among those the smallest (source, locator);
                    True where a document stands alone
    kind            str [rows]: "" alone; "exact" where the text equals the representative's; "minhash" otherwise
                    (a representative has the kind "minhash" where any of its cluster has)
    sizes           int64 [clusters]: members of each cluster
    """

    cluster_of: np.ndarray
    representative: np.ndarray
    kind: np.ndarray
    sizes: np.ndarray


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


def collect(roots: np.ndarray, texts: np.ndarray, rows: pa.Table) -> Clusters:
    """Clusters from each row's root.

    ``texts`` int64 [rows] numbers the distinct texts; ``rows`` has the columns ``bytes``, ``source`` and ``locator``.
    """
    count = len(roots)
    _, inverse, sizes = np.unique(roots, return_inverse=True, return_counts=True)
    shared = sizes > 1
    numbers = np.where(shared, np.cumsum(shared) - 1, -1)
    cluster_of = numbers[inverse].astype(np.int64)

    order = rows.append_column("cluster", [cluster_of]).append_column("row", [np.arange(count)])
    order = order.filter(cluster_of >= 0).sort_by(
        [
            ("cluster", "ascending"),
            ("bytes", "descending"),
            ("source", "ascending"),
            ("locator", "ascending"),
            ("row", "ascending"),
        ]
    )
    cluster, row = order["cluster"].to_numpy(), order["row"].to_numpy()
    chosen = row[np.flatnonzero(np.diff(cluster, prepend=-1))]
    representative = cluster_of < 0
    representative[chosen] = True

    inside = cluster_of >= 0
    equal = np.zeros(count, bool)
    equal[inside] = texts[inside] == texts[chosen][cluster_of[inside]]
    near = np.zeros(len(chosen), bool)
    near[cluster_of[inside & ~equal]] = True
    equal[chosen] = ~near
    kind = np.where(inside, np.where(equal, "exact", "minhash"), "")
    return Clusters(cluster_of, representative, kind, sizes[shared].astype(np.int64))
