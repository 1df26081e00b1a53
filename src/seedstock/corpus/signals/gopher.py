"""The quality and repetition statistics of Gopher (Rae et al. 2021, arXiv:2112.11446, section A1.1 and table A1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from seedstock.corpus.signals.base import Signal

if TYPE_CHECKING:
    import pyarrow as pa

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
TOP = (2, 3, 4)
DUPLICATE = (5, 6, 7, 8, 9, 10)
LONGEST = 1 << 20  # words that n-grams are looked for in


class Gopher(Signal):
    """Counts and fractions that tell prose from boilerplate, lists and repetition.

    words, mean_word_length      white-space separated words, and their characters
    hash_ratio, ellipsis_ratio   ``#`` and ``...`` or ``…`` for each word
    bullet_lines, ellipsis_lines lines that start with a bullet, lines that end with an ellipsis
    alphabetic_words             words with at least one letter
    stop_words                   how many of the paper's eight stop words occur
    duplicate_lines, …           lines (paragraphs) that occurred before in the text, and their share of characters
    top_2gram … top_4gram        characters inside the most frequent n-gram that repeats, its occurrences together
    duplicate_5grams …           characters inside n-grams that occurred before, each counted once

    Shares of characters leave white space out. An empty text has zeros. Of a text of more than a million words (2^20),
    n-grams are looked for in the first million.
    """

    version: ClassVar[int] = 2
    columns: ClassVar[dict[str, str]] = {
        "words": "int64",
        "mean_word_length": "float32",
        "hash_ratio": "float32",
        "ellipsis_ratio": "float32",
        "bullet_lines": "float32",
        "ellipsis_lines": "float32",
        "alphabetic_words": "float32",
        "stop_words": "int64",
        "duplicate_lines": "float32",
        "duplicate_line_characters": "float32",
        "duplicate_paragraphs": "float32",
        "duplicate_paragraph_characters": "float32",
        **{f"top_{n}gram": "float32" for n in TOP},
        **{f"duplicate_{n}grams": "float32" for n in DUPLICATE},
    }
    kind: Literal["gopher"] = "gopher"

    def compute(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Measures a batch."""
        from seedstock.corpus.signals.gopher_kernel import measure

        return self.batch(**measure(batch.column("text")))
