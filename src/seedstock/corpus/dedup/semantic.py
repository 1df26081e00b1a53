"""Texts of nearly the same meaning: compared inside clusters of their embeddings.

SemDeDup (Abbas et al. 2023, arXiv 2303.09540): k-means on the unit sphere, then cosine similarity inside each cluster.
A pair that k-means divides is not found.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from seedstock.corpus.dedup.clusters import Forest
from seedstock.corpus.dedup.config import Semantic
from seedstock.corpus.dedup.embedding import Vectors, embed, quantised
from seedstock.corpus.dedup.parts import Part
from seedstock.corpus.words import mix
from seedstock.progress import Reporter

BLOCK = 1 << 12  # vectors compared with others at once
SAMPLE = 256  # vectors a centre that k-means learns from
STEPS = 8
LARGEST = 1 << 14  # members of a cluster: larger ones are divided again


def link(
    step: Semantic, parts: Sequence[Part], rows: np.ndarray, forest: Forest, folder: Path, reporter: Reporter
) -> None:
    """Unites rows (int64, ascending, over all parts) with the first of their cluster that they resemble."""
    vectors = embed(step, parts, rows, folder)
    squares = vectors.squares
    some = np.flatnonzero(squares > 0)
    count = step.clusters or max(1, math.isqrt(len(some)))
    with reporter.bar("comparing meanings", len(some), "documents") as bar:
        for members in divided(vectors, some, count):
            for first, other in _alike(vectors, squares, members, step.threshold):
                forest.join([(int(rows[first]), int(rows[other]))])
            bar.advance(len(members))


def divided(vectors: Vectors, rows: np.ndarray, count: int) -> Iterator[np.ndarray]:
    """``rows`` (ascending) in about ``count`` clusters, none of more than ``LARGEST``."""
    if count <= 1 and len(rows) <= LARGEST:
        yield rows
        return
    nearest = assign(vectors, rows, centres(vectors, rows, max(2, count)))
    order = np.argsort(nearest, kind="stable")
    for group in np.split(rows[order], np.flatnonzero(np.diff(nearest[order])) + 1):
        if len(group) <= LARGEST:
            yield group
        elif len(group) == len(rows):  # they are all alike: any division is as good
            yield from (group[at : at + LARGEST] for at in range(0, len(group), LARGEST))
        else:
            yield from divided(vectors, group, -(-len(group) // (LARGEST // 4)))


def centres(vectors: Vectors, rows: np.ndarray, count: int, start: np.ndarray | None = None) -> np.ndarray:
    """Centres by k-means on the sphere, int8 [at most count, dimensions]; learned from a sample by hash.

    ``start`` are rows to begin with; without it they are drawn by hash.
    """
    sample = rows
    if len(rows) > SAMPLE * count:
        order = np.argsort(mix(rows.astype(np.uint64)), kind="stable")[: SAMPLE * count]
        sample = rows[np.sort(order)]
    if start is None:
        start = sample[np.sort(np.argsort(mix(sample.astype(np.uint64) + np.uint64(1)), kind="stable")[:count])]
    found = quantised(vectors.read(start))
    for _ in range(STEPS):
        sums, sizes = np.zeros(found.shape, np.int64), np.zeros(len(found), np.int64)
        for at in range(0, len(sample), BLOCK):
            block = sample[at : at + BLOCK]
            nearest = assign(vectors, block, found)
            np.add.at(sums, nearest, vectors.read(block).astype(np.int64))
            sizes += np.bincount(nearest, minlength=len(found))
        moved = quantised(sums)
        moved[sizes == 0] = found[sizes == 0]
        if np.array_equal(moved, found):
            break
        found = moved
    return found


def assign(vectors: Vectors, rows: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The centre of the largest cosine for each row, int64; the first of equal ones."""
    lengths = np.sqrt(np.square(centres.astype(np.float64)).sum(axis=1)).clip(min=1).astype(np.float32)
    turned = centres.astype(np.float32).T
    nearest = [np.zeros(0, np.int64)]
    for at in range(0, len(rows), BLOCK):
        nearest.append(np.argmax(vectors.read(rows[at : at + BLOCK]) @ turned / lengths, axis=1))
    return np.concatenate(nearest)


def _alike(vectors: Vectors, squares: np.ndarray, members: np.ndarray, threshold: float) -> Iterator[tuple[int, int]]:
    """For each member, the first earlier one whose cosine reaches the threshold."""
    members = np.sort(members)
    lengths = np.sqrt(squares[members].astype(np.float64))
    for at in range(0, len(members), BLOCK):
        block = vectors.read(members[at : at + BLOCK])
        first = np.full(len(block), -1, np.int64)
        for begin in range(0, at + len(block), BLOCK):
            other = slice(begin, min(begin + BLOCK, at + len(block)))
            needed = threshold * lengths[at : at + len(block), None] * lengths[None, other]
            alike = block @ vectors.read(members[other]).T >= needed
            alike &= np.arange(other.start, other.stop)[None, :] < np.arange(at, at + len(block))[:, None]
            new = (first < 0) & alike.any(axis=1)
            first[new] = begin + np.argmax(alike[new], axis=1)
        for place in np.flatnonzero(first >= 0):
            yield int(members[first[place]]), int(members[at + place])
