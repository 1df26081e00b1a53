"""Documents that hold pieces of evaluation items: n words in a row, compared without case, punctuation and white space.

Source of the rule: Brown et al. 2020 (arXiv:2005.14165), appendix C, with n = 13 and at least 8. What is not evidence:

- *templates*: words in a row that more than five different items share (instructions, names of fields);
- *weak* runs: fewer than two fifths of their words are different words with letters (numbers, repetitions);
- *common* runs: more than ``common`` documents of the corpus hold them (proverbs, licences, idioms of code). They count
  where the document holds half of the item.

An item whose every string is shorter than n words is matched by its whole strings of ``shortest`` words and more, less
the words that most items of its file begin with ("Question:").
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from seedstock.corpus import evaluation_runs, ngrams
from seedstock.corpus.evaluation_items import EvaluationItem, files, items
from seedstock.corpus.evaluation_runs import array
from seedstock.corpus.sources.files import Found
from seedstock.corpus.words import pieces

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Hit", "Index", "files"]

WORDS, SHORTEST, COMMON = 13, 8, 10
HALF = 0.5
_BITS = 24  # of the table that most words in a row are told apart by: 16 MiB


@dataclass(frozen=True)
class Hit:
    """What a document shares with an evaluation item: ``matched`` of its ``total`` runs, one of ``words`` words.

    ``digest`` is of that run's words (SHA-256, 16 digits), ``quote`` the words.
    """

    file: str
    number: int
    words: int
    matched: int
    total: int
    digest: str
    quote: str

    @property
    def where(self) -> str:
        return f"{self.file}:{self.number}"

    def reason(self, quote: bool = False) -> str:
        """In words; those of the item only where they are asked for."""
        shown = f"{self.matched} of {self.total}, digest {self.digest}"
        return f"shares {self.words} words in a row with {self.where} ({shown})" + f": {self.quote}" * quote


class Index:
    """The runs of words of evaluation files, and where each comes from.

    ``items`` are all items, ``total`` int64 [items] how many runs each has: one with none cannot be found.
    """

    def __init__(
        self, found: Sequence[Found], words: int = WORDS, shortest: int = SHORTEST, common: int | None = COMMON
    ) -> None:
        self.words, self.shortest, self.common = words, min(shortest, words), common
        self.items: list[EvaluationItem] = [item for file in found for item in items(file)]
        self.runs = evaluation_runs.find(self.items, words, self.shortest)
        self.total = np.bincount(self.runs.items, minlength=len(self.items))
        self._table, self._anchors = _Table(self.runs.hashes), _Table(self.runs.anchors)

    def coverage(self) -> dict[str, tuple[int, int]]:
        """(items that can be found by one of their strings, items) by file."""
        result: dict[str, tuple[int, int]] = {}
        able = (self.total > 0) & self.runs.alone
        for item, alone in zip(self.items, able.tolist(), strict=True):
            found, known = result.get(item.file, (0, 0))
            result[item.file] = (found + alone, known + 1)
        return result

    def search(self, text: pa.Array) -> dict[int, np.ndarray]:
        """The numbers of the runs that each text of a large_string array holds, by row, of the rows that hold any."""
        result: dict[int, np.ndarray] = {}
        first_row = 0
        for piece in pieces(text):
            hashes, row = ngrams.words(piece)
            runs, first = ngrams.grams(hashes, row, self.words)
            at, number = self._table.find(runs)
            rows, numbers = [row[first[at]]], [number]
            if len(self.runs.anchors):
                starts, first = ngrams.grams(hashes, row, self.shortest)
                first = first[self._anchors.find(starts)[0]]
                for size in self.runs.sizes if len(first) else ():
                    fits = first[first + size <= len(row)]
                    fits = fits[row[fits] == row[fits + size - 1]]
                    at, number = self._table.find(ngrams.grams_at(hashes, fits, size))
                    rows.append(row[fits[at]])
                    numbers.append(number)
            where, which = np.concatenate(rows), np.concatenate(numbers)
            for one in np.unique(where).tolist():
                result[first_row + one] = np.unique(which[where == one])
            first_row += len(piece)
        return result

    def documents(self, found: Mapping[int, np.ndarray]) -> np.ndarray:
        """How many documents hold each run, int64 [runs], given what ``search`` found in all of them."""
        return np.bincount(np.concatenate([np.zeros(0, np.int64), *found.values()]), minlength=len(self.runs.hashes))

    def verdict(self, runs: np.ndarray, documents: np.ndarray | None = None) -> Hit | None:
        """The item that a document is contaminated by, given its ``runs``, or None where they are no evidence."""
        rare = np.ones(len(runs), bool)
        if documents is not None and self.common is not None:
            rare = documents[runs] <= self.common
        matched: Counter[int] = Counter()
        guilty: set[int] = set()
        for run, alone in zip(runs.tolist(), rare.tolist(), strict=True):
            owners = self.runs.items[self.runs.starts[run] : self.runs.starts[run + 1]].tolist()
            matched.update(owners)
            guilty.update(owners if alone else ())
        guilty |= {item for item, count in matched.items() if count >= HALF * self.total[item]}
        if not guilty:
            return None
        worst = min(guilty, key=lambda item: (-matched[item], item))
        return self._hit(worst, matched[worst], {int(self.runs.hashes[run]) for run in runs})

    def match(self, text: str) -> Hit | None:
        """The evaluation item that one text is contaminated by, or None; no run counts as common."""
        found = self.search(array([text]))
        return self.verdict(found[0]) if found else None

    def _hit(self, number: int, matched: int, runs: set[int]) -> Hit:
        """With the first of the item's words that matched, which are looked up again: no text is kept by its hash."""
        item = self.items[number]
        for text in (item.text, *(text for _, text in item.strings)):
            names = ngrams.spelled(text)
            hashes, row = ngrams.words(array([text]))
            for size in (self.words, *self.runs.sizes):
                for run, at in zip(*(part.tolist() for part in ngrams.grams(hashes, row, size)), strict=True):
                    if run in runs:
                        quote = " ".join(names[at : at + size])
                        digest = hashlib.sha256(quote.encode()).hexdigest()[:16]
                        return Hit(item.file, item.number, size, matched, int(self.total[number]), digest, quote)
        raise AssertionError(f"{item.where} holds none of the runs that it was matched by")


class _Table:
    """A sorted set of hashes; a bitmap by their leading bits lets next to nothing else through to the search."""

    def __init__(self, hashes: np.ndarray) -> None:
        self.hashes = hashes
        self._bits = np.zeros(1 << _BITS if len(hashes) else 0, bool)
        self._bits[hashes >> np.uint64(64 - _BITS)] = True

    def find(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(places in ``hashes``, numbers in the table) of those that it holds."""
        if not len(self.hashes):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        likely = np.flatnonzero(self._bits[hashes >> np.uint64(64 - _BITS)])
        at = np.minimum(np.searchsorted(self.hashes, hashes[likely]), len(self.hashes) - 1)
        same = self.hashes[at] == hashes[likely]
        return likely[same], at[same]
