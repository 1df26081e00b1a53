"""Texts as normalised words, and hashes of n words in a row: case, punctuation and white space make no difference.

A word is a run of letters and digits, in lower case; everything else (underscores and apostrophes too) only separates.
In scripts that are written without spaces (Han, kana) each character is a word. Nothing here makes a Python string.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seedstock.corpus.utf8 import raw
from seedstock.corpus.words import mix

BLOCK = 1 << 17  # bytes or words hashed together: their prefix sums stay in a core's cache
_STEP, _WIDE = 0xD1342543DE82EF95, 0xAF251AF3B0F025B5  # odd multipliers with good spectra (Steele and Vigna 2021)


def words(text: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """(hashes, row) of the words of a large_string array: uint64, and the text that each stands in, ascending int64."""
    data, starts, ends, row = _split(text)
    return _hashes(data, starts, ends), row


def spelled(text: str) -> list[str]:
    """The normalised words of one text, as strings: for records and messages."""
    data, starts, ends, _ = _split(pa.array([text], pa.large_string()))
    view = data.tobytes()
    return [view[start:end].decode() for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


def vocabulary(text: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """(hashes, row, number, names): as ``words``, and the number of each word among the distinct ``names``."""
    data, starts, ends, row = _split(text)
    hashes = _hashes(data, starts, ends)
    _, first, number = np.unique(hashes, return_index=True, return_inverse=True)
    view = data.data
    names = [bytes(view[starts[at] : ends[at]]).decode() for at in first.tolist()]
    return hashes, row, number, names


def _split(text: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(bytes in lower case, starts and ends of the words in them, row of each)."""
    data, offsets = raw(pc.utf8_lower(text))
    offsets = offsets.astype(np.int64)
    data, offsets = data[offsets[0] : offsets[-1]], offsets - offsets[0]
    if not len(data):
        nothing = np.zeros(0, np.int64)
        return data, nothing, nothing, nothing
    inside = _ASCII[data]
    alone = _beyond_ascii(data, inside)
    before, after = np.empty(len(data), bool), np.empty(len(data), bool)
    before[0] = after[-1] = False
    before[1:], after[:-1] = inside[:-1], inside[1:]
    cuts = np.concatenate([offsets[1:-1], alone, alone + 3])
    cuts = cuts[(cuts > 0) & (cuts < len(data))]
    before[cuts], after[cuts - 1] = False, False
    starts, ends = np.flatnonzero(inside & ~before), np.flatnonzero(inside & ~after) + 1
    return data, starts, ends, np.searchsorted(offsets, starts, side="right") - 1


def grams(hashes: np.ndarray, row: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(hash, first): of each ``size`` words in a row of one text a uint64, and the number of the first of them."""
    count = len(hashes) - size + 1
    if count <= 0:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    forth, back = _powers(_WIDE)
    result = np.empty(count, np.uint64)
    sums = np.zeros(BLOCK + 1, np.uint64)
    step = BLOCK - size + 1
    for start in range(0, count, step):
        stop = min(start + step, count)
        some = hashes[start : stop + size - 1]
        np.cumsum(some * forth[: len(some)], out=sums[1 : len(some) + 1])
        result[start:stop] = (sums[size : len(some) + 1] - sums[: stop - start]) * back[: stop - start]
    first = np.flatnonzero(row[:count] == row[size - 1 :])
    return mix(result[first]), first


def grams_at(hashes: np.ndarray, first: np.ndarray, size: int) -> np.ndarray:
    """What ``grams`` gives for the runs of ``size`` words that begin at ``first``: all of them must fit."""
    result = np.zeros(len(first), np.uint64)
    factor = np.uint64(1)
    with np.errstate(over="ignore"):
        for ahead in range(size):
            result += hashes[first + ahead] * factor
            factor *= np.uint64(_WIDE)
    return mix(result)


def _hashes(data: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """A hash of each word's bytes: a polynomial by prefix sums (Karp and Rabin 1987), mixed; uint64 [words].

    Of a word longer than a block, the first block alone counts.
    """
    forth, back = _powers(_STEP)
    result = np.empty(len(starts), np.uint64)
    ends = np.minimum(ends, starts + BLOCK)
    sums = np.zeros(BLOCK + 1, np.uint64)
    at = 0
    while at < len(starts):
        begin = starts[at]
        stop = max(at + 1, int(np.searchsorted(ends, begin + BLOCK, side="right")))
        size = ends[stop - 1] - begin
        np.cumsum(data[begin : begin + size] * forth[:size], out=sums[1 : size + 1])
        here = starts[at:stop] - begin
        result[at:stop] = (sums[ends[at:stop] - begin] - sums[here]) * back[here]
        at = stop
    return mix(result)


@cache
def _powers(step: int) -> tuple[np.ndarray, np.ndarray]:
    """Powers of a multiplier, and of its inverse modulo 2^64."""

    def powers(base: int) -> np.ndarray:
        factors = np.full(BLOCK, base, np.uint64)
        factors[0] = 1
        return np.cumprod(factors)

    return powers(step), powers(pow(step, -1, 1 << 64))


_ASCII = np.zeros(256, bool)
_ASCII[list(b"abcdefghijklmnopqrstuvwxyz0123456789")] = True
_ASCII[0x80:] = True
_LEADS = np.zeros(256, bool)
_LEADS[[0xC2, 0xC3, 0xE2, *range(0xE3, 0xEA), 0xEF, 0xF0]] = True


def _beyond_ascii(data: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Takes signs beyond ASCII out of ``inside``; returns where characters begin that are words by themselves.

    Signs are the blocks of Unicode that hold punctuation, symbols and pictures: Latin-1 signs, U+2000 to 2BFF but
    letter-like ones, U+3000 to 3004 and 3008 to 303F, full-width signs, U+1F000 to 1FAFF.
    """
    leads = np.flatnonzero(_LEADS[data])
    if not len(leads):
        return leads
    lead = data[leads]
    second = data[np.minimum(leads + 1, len(data) - 1)]
    third = data[np.minimum(leads + 2, len(data) - 1)]
    two = ((lead == 0xC2) & ~np.isin(second, (0xAA, 0xB5, 0xBA))) | ((lead == 0xC3) & np.isin(second, (0x97, 0xB7)))
    three = (lead == 0xE2) & (second <= 0xAF) & ~np.isin(second, (0x84, 0x85))
    three |= (lead == 0xE3) & (second == 0x80) & ~np.isin(third, (0x85, 0x86, 0x87))
    three |= (lead == 0xEF) & (second == 0xBC) & ((third <= 0x8F) | ((third >= 0x9A) & (third <= 0xA0)))
    three |= (lead == 0xEF) & (second == 0xBD) & (third >= 0x9B) & (third <= 0xA5)
    three |= (lead == 0xEF) & (second == 0xBF)
    four = (lead == 0xF0) & (second == 0x9F)
    for signs, length in ((two, 2), (three, 3), (four, 4)):
        for ahead in range(length):
            inside[leads[signs] + ahead] = False
    return leads[(lead >= 0xE3) & (lead <= 0xE9) & ~three]
