"""MinHash signatures and locality-sensitive hashing: which documents are worth comparing.

Sources: Broder 1997 (resemblance, min-wise hashing); Indyk and Motwani 1998 (banding).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from seedstock.corpus.dedup.clusters import Forest
from seedstock.corpus.dedup.shingles import shingles
from seedstock.corpus.words import mix, pieces

RECALL = 0.99  # of pairs exactly at the threshold, that share a band
ROUNDS = 32  # leaders tried in one bucket of one band


def bands(threshold: float, permutations: int) -> tuple[int, int]:
    """(bands, rows a band): the longest bands with which pairs at the threshold still share one 99 times in 100.

    A pair of similarity s shares a band of r rows out of b with probability 1 - (1 - s^r)^b.
    """
    rows = 1
    while rows < permutations:
        wider = rows + 1
        if 1 - (1 - threshold**wider) ** (permutations // wider) < RECALL:
            break
        rows = wider
    return permutations // rows, rows


def permutations(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The multipliers (odd) and addends of ``count`` permutations of 32-bit hashes, uint32."""
    drawn = mix(mix(np.array([seed], np.int64).view(np.uint64)) + np.arange(2 * count, dtype=np.uint64))
    high = (drawn >> np.uint64(32)).astype(np.uint32)
    return high[:count] | np.uint32(1), high[count:]


def signatures(text: pa.Array, size: int, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(rows, signatures): the texts of at least ``size`` words, int64 [n], and their minima, uint32 [n, count]."""
    multipliers, addends = permutations(count, seed)
    rows, found, first = [], [], 0
    for piece in pieces(text):
        hashes, row = shingles(piece, size)
        starts = np.flatnonzero(np.diff(row, prepend=-1))
        minima = np.empty((count, len(starts)), np.uint32)
        if len(starts):
            low = hashes.astype(np.uint32)
            permuted = np.empty_like(low)
            for number in range(count):
                np.multiply(low, multipliers[number], out=permuted)
                np.add(permuted, addends[number], out=permuted)
                np.minimum.reduceat(permuted, starts, out=minima[number])
        rows.append(row[starts] + first)
        found.append(minima.T)
        first += len(piece)
    if not rows:
        return np.zeros(0, np.int64), np.zeros((0, count), np.uint32)
    return np.concatenate(rows), np.concatenate(found)


def band_keys(found: np.ndarray, band: int, rows: int) -> np.ndarray:
    """One key a document for one band, uint64 [n]; equal where all rows of the band are."""
    keys = np.full(len(found), band, np.uint64)
    for column in range(band * rows, (band + 1) * rows):
        keys = mix(keys ^ found[:, column])
    return keys


def candidates(found: np.ndarray, threshold: float) -> np.ndarray:
    """Documents that share a band with another, bool [n]."""
    count, rows = bands(threshold, found.shape[1])
    shared = np.zeros(len(found), bool)
    for band in range(count):
        order, bucket = _buckets(band_keys(found, band, rows))
        shared[order[_sizes(bucket) > 1]] = True
    return shared


def link(
    found: np.ndarray,
    rows_of: np.ndarray,
    threshold: float,
    forest: Forest,
    similarity: Callable[[int, int], float],
    advance: Callable[[], None] = lambda: None,
) -> None:
    """Unites documents of at least the threshold's exact similarity, proposed by their signatures.

    In each bucket of each band the first document is compared with all others, then the first of those that differ
    from it with the rest, and so on: no bucket costs the square of its size. ``rows_of`` int64 [n] are the documents'
    rows in ``forest``; ``similarity`` takes two rows of ``found``.
    """
    count, rows = bands(threshold, found.shape[1])
    # Four standard deviations below the threshold, an estimate leaves no doubt.
    hopeless = threshold - 4 * np.sqrt(threshold * (1 - threshold) / found.shape[1])
    for band in range(count):
        order, bucket = _buckets(band_keys(found, band, rows))
        for _ in range(ROUNDS):
            several = _sizes(bucket) > 1
            order, bucket = order[several], bucket[several]
            if not len(order):
                break
            begins = np.diff(bucket, prepend=-1) != 0
            left = order[begins][np.cumsum(begins) - 1][~begins]
            right, bucket = order[~begins], bucket[~begins]
            roots = forest.roots()
            united = roots[rows_of[left]] == roots[rows_of[right]]
            for at in np.flatnonzero(~united):
                a, b = int(left[at]), int(right[at])
                if np.count_nonzero(found[a] == found[b]) < hopeless * found.shape[1]:
                    continue
                if similarity(a, b) >= threshold:
                    forest.join([(int(rows_of[a]), int(rows_of[b]))])
                    united[at] = True
            order, bucket = right[~united], bucket[~united]
        advance()


def _buckets(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Documents in an order that brings equal keys together (the lower number first), and their buckets' numbers."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    return order, np.cumsum(np.concatenate([[0], ordered[1:] != ordered[:-1]])[: len(keys)])


def _sizes(bucket: np.ndarray) -> np.ndarray:
    """The size of each member's bucket."""
    if not len(bucket):
        return np.zeros(0, np.int64)
    return np.bincount(bucket)[bucket]
