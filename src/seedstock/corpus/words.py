"""Texts as numbered words and lines: what the word-based kernels work on, without a Python string a word.

A word is a run of characters without white space, as in ``str.split``; a line is what lies between line feeds, and
lines of white space alone do not count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# Sorts and hash tables of a piece this size stay in a core's cache; larger ones are several times slower.
PIECE = 1 << 18


@dataclass(frozen=True)
class Words:
    """The words of ``rows`` texts.

    codes        int64 [words]: the number of each word in ``vocabulary``
    row, line    int64 [words]: the text, and the line (counted over all the texts), that each word stands in
    starts       int64 [lines + 1]: the first word of each line
    line_row     int64 [lines]: the text of each line
    line_codes   int64 [lines]: equal for equal lines (surrounding white space aside)
    opens        bool [lines]: the line begins a paragraph: it is a text's first, or follows an empty line
    vocabulary   large_string: the distinct words
    """

    rows: int
    codes: np.ndarray
    row: np.ndarray
    line: np.ndarray
    starts: np.ndarray
    line_row: np.ndarray
    line_codes: np.ndarray
    opens: np.ndarray
    vocabulary: pa.Array

    def count(self, chosen: np.ndarray | None = None, weights: np.ndarray | None = None) -> np.ndarray:
        """Words a text, float64 [rows]; only those ``chosen`` (bool [words]), or the sum of their ``weights``."""
        row = self.row if chosen is None else self.row[chosen]
        if weights is not None and chosen is not None:
            weights = weights[chosen]
        return np.bincount(row, weights, self.rows).astype(np.float64)

    def count_lines(self, chosen: np.ndarray | None = None) -> np.ndarray:
        """Lines a text, float64 [rows]; only those ``chosen`` (bool [lines])."""
        return np.bincount(self.line_row if chosen is None else self.line_row[chosen], minlength=self.rows) * 1.0

    def first(self, flags: np.ndarray) -> np.ndarray:
        """``flags`` of the vocabulary at each line's first word."""
        return flags[self.codes[self.starts[:-1]]]

    def last(self, flags: np.ndarray) -> np.ndarray:
        """``flags`` of the vocabulary at each line's last word."""
        return flags[self.codes[self.starts[1:] - 1]]

    def matches(self, pattern: str) -> np.ndarray:
        """Which words of the vocabulary an RE2 pattern matches, bool [vocabulary]."""
        return pc.match_substring_regex(self.vocabulary, pattern).to_numpy(zero_copy_only=False)


def split(text: pa.Array) -> Words:
    """Splits a large_string array into words."""
    split_lines = pc.split_pattern(text, "\n")
    line_row = pc.list_parent_indices(split_lines).to_numpy()
    lines = pc.utf8_trim_whitespace(split_lines.flatten())
    full = pc.greater(pc.binary_length(lines), 0)
    kept = np.flatnonzero(full.to_numpy(zero_copy_only=False))
    line_row, lines = line_row[kept], lines.filter(full)
    opens = np.diff(kept, prepend=-2) > 1
    opens |= np.diff(line_row, prepend=-1) > 0

    split_words = pc.utf8_split_whitespace(lines)
    line = pc.list_parent_indices(split_words).to_numpy()
    starts = split_words.offsets.to_numpy().astype(np.int64)
    encoded = split_words.flatten().dictionary_encode()
    return Words(
        rows=len(text),
        codes=encoded.indices.to_numpy().astype(np.int64),
        row=line_row[line],
        line=line,
        starts=starts - starts[0],
        line_row=line_row,
        line_codes=lines.dictionary_encode().indices.to_numpy().astype(np.int64),
        opens=opens,
        vocabulary=encoded.dictionary,
    )


def pieces(text: pa.Array, size: int = PIECE) -> Iterator[pa.Array]:
    """Runs of whole texts of about ``size`` bytes."""
    ends = np.cumsum(pc.binary_length(text).to_numpy(zero_copy_only=False))
    start = 0
    while start < len(text):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + size, side="right")))
        yield text.slice(start, stop - start)
        start = stop


def mix(values: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014): a bijection that scatters uint64 values."""
    values = values.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """``part / whole``, 0 where the whole is 0."""
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)
