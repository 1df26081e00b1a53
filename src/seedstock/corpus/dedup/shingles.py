"""Shingles: the sets of word sequences that texts are compared by (Broder 1997), as 64-bit hashes of their bytes.

Words are hashed once a distinct word, and a shingle's hash is made from its words' hashes by a rolling polynomial: no
text is cut into strings.
"""

from __future__ import annotations

import hashlib
import itertools
from functools import cache

import numpy as np
import pyarrow as pa

from seedstock import native
from seedstock.corpus.utf8 import raw
from seedstock.corpus.words import mix, split

LONG = 4096  # bytes: longer words are rare and would need long tables of powers
_STEP = np.uint64(0xD1342543DE82EF95)  # an odd multiplier with good spectra (Steele and Vigna 2021)


@cache
def _powers() -> np.ndarray:
    return np.cumprod(np.concatenate([np.ones(1, np.uint64), np.full(LONG, _STEP)]))


def hash_words(words: pa.Array) -> np.ndarray:
    """A 64-bit hash of each word's bytes, uint64; the same in every batch and on every machine."""
    data, offsets = raw(words)
    lengths = np.diff(offsets)
    long = lengths > LONG
    if long.any():
        hashes = np.empty(len(words), np.uint64)
        hashes[~long] = hash_words(words.filter(pa.array(~long)))
        for at in np.flatnonzero(long):
            digest = hashlib.blake2b(words[at].as_buffer(), digest_size=8).digest()
            hashes[at] = int.from_bytes(digest, "little")
        return hashes
    data = data[offsets[0] : offsets[-1]]
    starts = offsets[:-1] - offsets[0]
    place = np.arange(len(data)) - np.repeat(starts, lengths)
    terms = (data.astype(np.uint64) + np.uint64(1)) * _powers()[place]
    sums = np.add.reduceat(terms, starts) if len(starts) else np.zeros(0, np.uint64)
    return mix(sums ^ (lengths.astype(np.uint64) << np.uint64(48)))


def shingles(text: pa.Array, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(hashes, row): the hash of every run of ``size`` words, uint64, and the text it stands in, int64, ascending."""
    kernels = native.kernels()
    if kernels is not None:
        data, offsets = raw(text)
        # As many as there can be; memory that is not written to costs nothing.
        out = np.empty(int(offsets[-1] - offsets[0] + len(text)) // 2, np.uint64)
        own = np.empty(len(text), np.int64)
        if (total := kernels.shingles(data, offsets, len(text), size, out, own)) >= 0:
            return out[:total], np.repeat(np.arange(len(text)), own)
    words = split(text)
    count = len(words.codes) - size + 1
    if count <= 0:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    hashed = hash_words(words.vocabulary)[words.codes]
    rolled = hashed[:count].copy()
    for ahead in range(1, size):
        rolled *= _STEP
        rolled += hashed[ahead : ahead + count]
    inside = words.row[:count] == words.row[size - 1 :]
    return mix(rolled[inside]), words.row[:count][inside]


def sets(text: pa.Array, size: int) -> list[np.ndarray]:
    """Each text's set of shingles, sorted."""
    hashes, row = shingles(text, size)
    ends = np.searchsorted(row, np.arange(len(text) + 1))
    return [np.unique(hashes[start:end]) for start, end in itertools.pairwise(ends)]


def jaccard(left: np.ndarray, right: np.ndarray) -> float:
    """The similarity of two sorted sets: shared members over all members (1 for two empty ones)."""
    if len(left) > len(right):
        left, right = right, left
    if not len(left):
        return float(not len(right))
    at = np.minimum(np.searchsorted(right, left), len(right) - 1)
    shared = int(np.count_nonzero(right[at] == left))
    return shared / (len(left) + len(right) - shared)
