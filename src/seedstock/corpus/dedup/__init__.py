"""Duplicates: equal texts, and texts that share most of their word shingles; every document keeps its cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from seedstock.corpus.dedup.config import DedupConfig
from seedstock.progress import Reporter

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from seedstock.corpus.dedup.clusters import Clusters, Forest

__all__ = ["DedupConfig", "find_clusters"]


def find_clusters(config: DedupConfig, parts: Sequence[pa.Table], seed: int, reporter: Reporter) -> Clusters:
    """The clusters of duplicates among the rows of all ``parts``, in their order.

    A part has the columns ``text_sha256``, ``text``, ``source`` and ``locator``; parts are read one at a time, up to
    three times, and where they are divided changes nothing. Texts of fewer than ``config.shingle`` words are compared
    for equality alone.
    """
    import pyarrow as pa

    from seedstock.corpus.dedup import exact
    from seedstock.corpus.dedup.clusters import Forest, collect
    from seedstock.corpus.dedup.shingles import byte_lengths

    about = [
        part.select(["text_sha256", "source", "locator"]).append_column("bytes", byte_lengths(part["text"]))
        for part in (parts[number] for number in range(len(parts)))
    ]
    rows = pa.concat_tables(about) if about else None
    if rows is None or not rows.num_rows:
        return _none()
    texts, firsts = exact.number(rows["text_sha256"])
    forest = Forest(rows.num_rows)
    forest.parent = firsts[texts]
    if config.kind == "minhash":
        _near(config, parts, firsts, forest, seed, reporter)
    return collect(forest.roots(), texts, rows.drop_columns(["text_sha256"]))


def _near(
    config: DedupConfig, parts: Sequence[pa.Table], firsts: np.ndarray, forest: Forest, seed: int, reporter: Reporter
) -> None:
    """Unites near duplicates among the first rows of the distinct texts."""
    import numpy as np

    from seedstock.corpus.dedup import minhash
    from seedstock.corpus.dedup.shingles import jaccard

    found, where = [], []
    with reporter.bar("fingerprinting", len(firsts), "documents") as bar:
        for first, text in _chosen(parts, firsts):
            rows, signatures = minhash.signatures(text, config.shingle, config.permutations, seed)
            found.append(signatures)
            where.append(first[rows])
            bar.advance(len(text))
    signatures, rows_of = np.concatenate(found), np.concatenate(where)
    alike = minhash.candidates(signatures, config.threshold)
    sets = _sets(parts, rows_of[alike], config.shingle)
    count, _ = minhash.bands(config.threshold, config.permutations)
    with reporter.bar("comparing", count, "bands") as bar:
        minhash.link(
            signatures,
            rows_of,
            config.threshold,
            forest,
            lambda left, right: jaccard(sets[int(rows_of[left])], sets[int(rows_of[right])]),
            bar.advance,
        )


def _chosen(parts: Sequence[pa.Table], rows: np.ndarray):
    """For each part, those of ``rows`` (ascending) that lie in it, and their texts."""
    import numpy as np

    first = 0
    for number in range(len(parts)):
        part = parts[number]
        begin, end = np.searchsorted(rows, [first, first + part.num_rows])
        inside = rows[begin:end]
        yield inside, part["text"].combine_chunks().take(_indices(inside - first))
        first += part.num_rows


def _indices(rows: np.ndarray) -> pa.Array:
    import pyarrow as pa

    return pa.array(rows, pa.int64())


def _sets(parts: Sequence[pa.Table], rows: np.ndarray, size: int) -> dict[int, np.ndarray]:
    from seedstock.corpus.dedup.shingles import sets
    from seedstock.corpus.words import pieces

    found: dict[int, np.ndarray] = {}
    for inside, text in _chosen(parts, rows):
        at = 0
        for piece in pieces(text):
            found.update(zip(inside[at : at + len(piece)].tolist(), sets(piece, size), strict=True))
            at += len(piece)
    return found


def _none() -> Clusters:
    import numpy as np

    from seedstock.corpus.dedup.clusters import Clusters

    return Clusters(np.zeros(0, np.int64), np.zeros(0, bool), np.zeros(0, object), np.zeros(0, np.int64))
