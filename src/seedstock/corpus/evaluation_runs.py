"""The runs of words that evaluation items are known by: n in a row, or whole strings of items too short for that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from seedstock.corpus import ngrams
from seedstock.corpus.evaluation_items import EvaluationItem

if TYPE_CHECKING:
    import pyarrow as pa

TEMPLATE = 5  # different items that may share words in a row
TELLING = 0.4  # of the words in a row must be different words with letters
OPENING = 8  # words that strings of one key may begin with alike
FEW = 10  # strings of a key, of which nothing is said about how most begin


@dataclass(frozen=True)
class Runs:
    """Runs by their hashes, ascending: the k-th belongs to ``items[starts[k]:starts[k + 1]]``.

    ``sizes`` are the lengths of the short ones; ``anchors`` the hashes of their first words; ``alone`` bool [items]: it
    has a string that is found by itself (other items only by several of their strings, one after another).
    """

    hashes: np.ndarray
    starts: np.ndarray
    items: np.ndarray
    sizes: tuple[int, ...]
    anchors: np.ndarray
    alone: np.ndarray


def find(items: Sequence[EvaluationItem], size: int, shortest: int) -> Runs:
    """The runs of ``size`` words of all items, less templates and what tells too little."""
    hashes, row, number, names = ngrams.vocabulary(array([item.text for item in items]))
    runs, first = ngrams.grams(hashes, row, size)
    kept = _distinct(number, _telling(names)[number], first, size) >= TELLING * size
    short = _short(items, size, shortest)
    found, of = np.concatenate([runs[kept], short.hashes]), np.concatenate([row[first[kept]], short.items])
    order = np.lexsort((of, found))
    found, of = found[order], of[order]
    once = np.ones(len(found), bool)
    once[1:] = (found[1:] != found[:-1]) | (of[1:] != of[:-1])
    found, of = found[once], of[once]
    unique, which = np.unique(found, return_inverse=True)
    few = _different(which, of, hashes, row, len(items)) <= TEMPLATE
    found, of = found[few[which]], of[few[which]]
    unique, starts = np.unique(found, return_index=True)
    return Runs(unique, np.append(starts, len(found)), of, short.sizes, short.anchors, short.alone)


def array(texts: Sequence[str]) -> pa.Array:
    """Texts as Arrow's large_string."""
    import pyarrow as pa

    return pa.array(texts, pa.large_string())


def _different(number: np.ndarray, of: np.ndarray, hashes: np.ndarray, row: np.ndarray, items: int) -> np.ndarray:
    """How many different items hold each run; copies of an item count once."""
    whole = np.zeros(items, np.uint64)
    with np.errstate(over="ignore"):
        np.add.at(whole, row, hashes)
    _, same = np.unique(whole, return_inverse=True)
    pairs = np.unique(np.stack([number, same[of]]), axis=1) if len(number) else np.zeros((2, 0), np.int64)
    return np.bincount(pairs[0], minlength=number.max(initial=-1) + 1)


def _telling(names: Sequence[str]) -> np.ndarray:
    """Which words have letters, and more than one (or one that is no ASCII), bool [names]."""
    return np.array([(len(name) > 1 or not name.isascii()) and not name.isdigit() for name in names], bool)


def _distinct(number: np.ndarray, telling: np.ndarray, first: np.ndarray, size: int) -> np.ndarray:
    """How many different telling words are among the ``size`` from each of ``first`` on, int64."""
    order = np.argsort(number, kind="stable")
    before = np.full(len(number), -1)
    again = number[order][1:] == number[order][:-1]
    before[order[1:][again]] = order[:-1][again]
    count = np.zeros(len(first), np.int64)
    for ahead in range(size):
        count += telling[first + ahead] & (before[first + ahead] < first)
    return count


def _short(items: Sequence[EvaluationItem], size: int, shortest: int) -> Runs:
    """Whole strings of the items of which no string has ``size`` words, less how most of their key begin."""
    strings = [(at, item.file, key, text) for at, item in enumerate(items) for key, text in item.strings]
    texts, of = [text for *_, text in strings], np.array([at for at, *_ in strings], np.int64)
    hashes, row, number, names = ngrams.vocabulary(array(texts))
    counts = np.bincount(row, minlength=len(texts))
    begins = np.concatenate([[0], np.cumsum(counts)[:-1]]) if len(counts) else counts
    opening = _openings([(file, key) for _, file, key, _ in strings], hashes, begins, counts)
    first, words = begins + opening, counts - opening
    longest = np.zeros(len(items), np.int64)
    np.maximum.at(longest, of, words)
    chosen = np.flatnonzero((longest[of] < size) & (words >= shortest)) if len(of) else of
    telling = _telling(names)[number]
    runs, owners, anchors = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)], [np.zeros(0, np.uint64)]
    sizes = sorted(set(words[chosen].tolist()))
    for length in sizes:
        some = chosen[words[chosen] == length]
        some = some[_distinct(number, telling, first[some], length) >= TELLING * length]
        runs.append(ngrams.grams_at(hashes, first[some], length))
        anchors.append(ngrams.grams_at(hashes, first[some], shortest))
        owners.append(of[some])
    found, owner = np.concatenate(runs), np.concatenate(owners)
    alone = longest >= size
    alone[owner] = True
    return Runs(found, np.arange(len(found) + 1), owner, tuple(sizes), np.unique(np.concatenate(anchors)), alone)


def _openings(keys: list[tuple[str, str]], hashes: np.ndarray, begins: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """How many words each string shares with most strings of its file's key, at its beginning, int64 [strings].

    What a template puts before each item is not part of what a document would hold.
    """
    result = np.zeros(len(keys), np.int64)
    groups: dict[tuple[str, str], list[int]] = {}
    for at, key in enumerate(keys):
        groups.setdefault(key, []).append(at)
    for members in groups.values():
        alike = np.array(members)
        least = len(alike) / 2
        for ahead in range(OPENING if len(alike) >= FEW else 0):
            alike = alike[counts[alike] > ahead]
            if len(alike) <= least:
                break
            _, number, times = np.unique(hashes[begins[alike] + ahead], return_inverse=True, return_counts=True)
            if times.max() <= least:
                break
            alike = alike[number == times.argmax()]
            result[alike] = ahead + 1
    return result
