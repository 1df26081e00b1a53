"""Hashes of runs of bytes, all windows of a length at once (Karp and Rabin 1987), and which of them to compare.

A byte's random number times a power of an odd multiplier, summed modulo 2^64: two such hashes of different multipliers
make 128 bits. Winnowing (Schleimer, Wilkerson and Aiken 2003) chooses windows so that whatever two texts share of a
certain length, they share a chosen window of.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache

import numpy as np

from seedstock.corpus.words import mix

CHUNK = 1 << 18  # windows hashed at once: what is worked on stays in the cache
LARGEST = np.uint64(0xFFFFFFFFFFFFFFFF)
_STEPS = (0xD1342543DE82EF95, 0xAF251AF3B0F025B5)  # odd multipliers with good spectra (Steele and Vigna 2021)


@cache
def _table(which: int) -> np.ndarray:
    return mix(np.arange(256, dtype=np.uint64) + np.uint64(1000 * which + 1))


@cache
def _powers(which: int, inverse: bool = False) -> np.ndarray:
    step = pow(_STEPS[which], -1, 1 << 64) if inverse else _STEPS[which]
    powers = np.full(2 * CHUNK + 1, step, np.uint64)
    powers[0] = 1
    return np.cumprod(powers)


def windows(data: np.ndarray, length: int, which: int = 0) -> np.ndarray:
    """The hash of every run of ``length`` bytes, uint64 [bytes - length + 1]; of at most 2^18 bytes each."""
    count = len(data) - length + 1
    if count <= 0:
        return np.zeros(0, np.uint64)
    found = np.empty(count, np.uint64)
    for at in range(0, count, CHUNK):
        some = min(CHUNK, count - at)
        terms = _table(which)[data[at : at + some + length - 1]]
        terms *= _powers(which)[: len(terms)]
        sums = np.concatenate([np.zeros(1, np.uint64), terms])
        np.cumsum(sums, out=sums)
        out = found[at : at + some]
        np.subtract(sums[length : length + some], sums[:some], out=out)
        out *= _powers(which, inverse=True)[:some]
    return mix(found)


def segments(data: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two hashes of each run from ``starts`` to ``ends`` (int64, ascending, apart), uint64; 0 for empty ones."""
    lengths = ends - starts
    found = [np.zeros(len(starts), np.uint64) for _ in _STEPS]
    long = lengths > CHUNK
    for at in np.flatnonzero(long):
        digest = hashlib.blake2b(data[starts[at] : ends[at]].tobytes(), digest_size=16).digest()
        found[0][at], found[1][at] = np.frombuffer(digest, "<u8")
    rows = np.flatnonzero((lengths > 0) & ~long)
    bounds = np.cumsum(lengths[rows])
    begin = 0
    while begin < len(rows):
        stop = max(begin + 1, int(np.searchsorted(bounds, (bounds[begin - 1] if begin else 0) + CHUNK, side="right")))
        own = rows[begin:stop]
        first = np.cumsum(lengths[own]) - lengths[own]
        place = np.arange(int(lengths[own].sum())) - np.repeat(first, lengths[own])
        taken = data[place + np.repeat(starts[own], lengths[own])]
        for which, values in enumerate(found):
            sums = np.add.reduceat(_table(which)[taken] * _powers(which)[place], first)
            values[own] = mix(sums ^ lengths[own].astype(np.uint64))
        begin = stop
    return found[0], found[1]


def sliding(values: np.ndarray, width: int, choose: np.ufunc) -> np.ndarray:
    """``choose`` (np.minimum, np.maximum) over every run of ``width`` values, [values - width + 1]."""
    span, found = 1, values
    while 2 * span <= width:
        found = choose(found[:-span], found[span:])
        span *= 2
    rest = width - span
    return choose(found[: len(found) - rest], found[rest:]) if rest else found


def chosen(data: np.ndarray, ends: np.ndarray, size: int, guarantee: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(positions, hashes) of the windows of ``size`` bytes that winnowing chooses, a chunk of ``data`` at a time.

    Two runs of ``guarantee`` bytes that are equal hold windows with the same chosen hash. No window reaches over the
    ``ends`` (int64, ascending) of the texts that ``data`` is made of.
    """
    width = guarantee - size + 1
    count = len(data) - size + 1
    for first in range(0, max(count, 0), CHUNK):
        last = min(first + CHUNK, count)
        begin, end = max(0, first - width + 1), min(count, last + width - 1)
        hashes = windows(data[begin : end + size - 1], size)
        for cut in ends[np.searchsorted(ends, begin, side="right") : np.searchsorted(ends, end + size)].tolist():
            hashes[max(0, cut - size + 1 - begin) : max(0, cut - begin)] = LARGEST
        padded = np.concatenate([np.full(width - 1, LARGEST), hashes, np.full(width - 1, LARGEST)])
        # A window is chosen where it is the smallest of some run of windows that holds it.
        largest = sliding(sliding(padded, width, np.minimum), width, np.maximum)
        own = slice(first - begin, last - begin)
        at = np.flatnonzero((hashes[own] == largest[own]) & (hashes[own] != LARGEST))
        yield at + first, hashes[own][at]
