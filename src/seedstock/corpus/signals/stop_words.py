"""How many of a language's commonest words a text has: running prose has several, lists and word salad do not."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from seedstock.corpus.languages import normalise
from seedstock.corpus.signals.base import Signal

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


class StopWords(Signal):
    """Stop words of the document's own language: as its source declares it, or else as the language signal finds it.

    distinct   how many different ones occur (of English, Gopher asks for two of its eight)
    share      of all words

    In scripts that put no space between words, characters count as words. Both are null for a language that there is no
    list of; ``words`` has lists of one's own, which take the place of those in stop_word_lists.py.
    """

    version: ClassVar[int] = 1
    columns: ClassVar[dict[str, str]] = {"distinct": "int64", "share": "float32"}
    kind: Literal["stop_words"] = "stop_words"
    words: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    def compute(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Counts in a batch, a few texts at a time."""
        import numpy as np

        from seedstock.corpus.classify.tokens import tokens

        names, lists = _lists(tuple((name, *words) for name, words in self.words.items()))
        language = np.array([names.get(name, -1) for name in _languages(batch)])
        distinct, share, start = np.zeros(len(language), np.int64), np.zeros(len(language)), 0
        for found in tokens(batch.column("text")):
            rows = slice(start, start + found.rows)
            distinct[rows], share[rows] = _count(found, language[rows], lists)
            start += found.rows
        import pyarrow as pa

        unknown = language < 0
        return self.batch(
            distinct=pa.array(distinct, mask=unknown), share=pa.array(share.astype(np.float32), mask=unknown)
        )


def _count(found, language: np.ndarray, lists: tuple[list[str], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(distinct stop words, their share of the words) of each text."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    words, member = lists
    number = pc.fill_null(pc.index_in(found.vocabulary, pa.array(words, pa.large_string())), -1).to_numpy()
    number = number.astype(np.int64)[found.codes]
    chosen = (number >= 0) & (language[found.row] >= 0)
    chosen[chosen] = member[language[found.row[chosen]], number[chosen]]
    row, number = found.row[chosen], number[chosen]
    seen = np.unique(row * len(words) + number) // len(words)
    total = np.maximum(np.bincount(found.row, minlength=found.rows), 1)
    return np.bincount(seen, minlength=found.rows), np.bincount(row, minlength=found.rows) / total


@cache
def _lists(own: tuple[tuple[str, ...], ...]) -> tuple[dict[str, int], tuple[list[str], np.ndarray]]:
    """(number of each language, (all words, bool [languages, words]: whose they are))."""
    import numpy as np

    from seedstock.corpus.signals.stop_word_lists import LISTS

    lists = {name: words.split() for name, words in LISTS.items()}
    lists |= {normalise(name): [word.lower() for word in words] for name, *words in own}
    words = sorted({word for listed in lists.values() for word in listed})
    at = {word: number for number, word in enumerate(words)}
    member = np.zeros((len(lists), len(words)), bool)
    for number, listed in enumerate(lists.values()):
        member[number, [at[word] for word in listed]] = True
    return {name: number for number, name in enumerate(lists)}, (words, member)


def _languages(batch: pa.RecordBatch) -> list[str]:
    from seedstock.corpus.signals.language import Language

    declared = [normalise(str(json.loads(meta or "{}").get("language") or "")) for meta in batch["meta"].to_pylist()]
    if all(declared):
        return declared
    found, _, _ = Language().identify(batch.column("text"), [bool(name) for name in declared])
    return [name or other for name, other in zip(declared, found, strict=True)]
