"""MinHash signatures, and how they are cut into bands.

Sources: Broder 1997 (resemblance, min-wise hashing); Indyk and Motwani 1998 (banding).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from seedstock import native
from seedstock.corpus.dedup.shingles import shingles
from seedstock.corpus.utf8 import raw
from seedstock.corpus.words import mix, pieces

RECALL = 0.99  # of pairs exactly at the threshold, that share a band


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
    kernels = native.kernels()
    if kernels is not None:
        data, offsets = raw(text)
        out, own = np.empty((len(text), count), np.uint32), np.empty(len(text), np.int64)
        if kernels.minhash(data, offsets, len(text), size, multipliers, addends, count, out, own) >= 0:
            rows = np.flatnonzero(own)
            return rows, out if len(rows) == len(out) else out[rows]
    return _signatures(text, size, multipliers, addends)


def _signatures(
    text: pa.Array, size: int, multipliers: np.ndarray, addends: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The same in numpy."""
    rows, found, first, count = [], [], 0, len(multipliers)
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
