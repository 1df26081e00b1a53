"""How many of a language's commonest words a text has: running prose has several, lists and word salad do not."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from seedstock.corpus.languages import normalise
from seedstock.corpus.signals.base import Signal

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from seedstock.corpus.classify.tokens import Tokens


class StopWords(Signal):
    """Stop words of the document's own language: as its source declares it, or else as the language signal finds it.

    distinct   how many different ones occur (of English, Gopher asks for two of its eight)
    share      of all words

    In scripts that put no space between words, characters count as words, and a stop word of several is found wherever
    they follow one another. Both are null for a language that there is no list of; ``words`` has lists of one's own,
    which take the place of those in stop_word_lists.py.
    """

    version: ClassVar[int] = 2
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


@dataclass(frozen=True)
class Lists:
    """``words`` that are one token each; ``member`` bool [languages, words]: whose they are; ``phrases`` of several
    tokens, by language."""

    words: list[str]
    member: np.ndarray
    phrases: dict[int, list[tuple[str, ...]]]


def _count(found: Tokens, language: np.ndarray, lists: Lists) -> tuple[np.ndarray, np.ndarray]:
    """(distinct stop words, their share of the words) of each text."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    number = pc.fill_null(pc.index_in(found.vocabulary, pa.array(lists.words, pa.large_string())), -1).to_numpy()
    number = number.astype(np.int64)[found.codes]
    chosen = (number >= 0) & (language[found.row] >= 0)
    chosen[chosen] = lists.member[language[found.row[chosen]], number[chosen]]
    size = max(1, len(lists.words))
    distinct = np.bincount(np.unique(found.row[chosen] * size + number[chosen]) // size, minlength=found.rows)
    for own in lists.phrases.keys() & set(language.tolist()):
        spoken = language[found.row] == own
        for phrase in lists.phrases[own]:
            at = _places(found, spoken, phrase)
            distinct[np.unique(found.row[at])] += 1
            for offset in range(len(phrase)):
                chosen[at + offset] = True
    total = np.maximum(np.bincount(found.row, minlength=found.rows), 1)
    return distinct, np.bincount(found.row[chosen], minlength=found.rows) / total


def _places(found: Tokens, spoken: np.ndarray, phrase: tuple[str, ...]) -> np.ndarray:
    """Where a phrase begins among the tokens that are ``spoken`` in its language, int64."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    codes = pc.index_in(pa.array(phrase, pa.large_string()), found.vocabulary).to_pylist()
    if None in codes:
        return np.zeros(0, np.int64)
    at = np.flatnonzero(spoken & (found.codes == codes[0]))
    at = at[at + len(phrase) <= len(found.codes)]
    at = at[found.row[at] == found.row[at + len(phrase) - 1]]
    for offset, code in enumerate(codes[1:], 1):
        at = at[found.codes[at + offset] == code]
    return at


@cache
def _lists(own: tuple[tuple[str, ...], ...]) -> tuple[dict[str, int], Lists]:
    """The number of each language, and the lists."""
    import numpy as np

    from seedstock.corpus.signals.stop_word_lists import LISTS

    given = {name: words.split() for name, words in LISTS.items()}
    given |= {normalise(name): [word.lower() for word in words] for name, *words in own}
    split = {name: _split(words) for name, words in given.items()}
    words = sorted({tokens[0] for listed in split.values() for tokens in listed if len(tokens) == 1})
    at = {word: number for number, word in enumerate(words)}
    member = np.zeros((len(split), len(words)), bool)
    phrases: dict[int, list[tuple[str, ...]]] = {}
    for number, listed in enumerate(split.values()):
        member[number, [at[tokens[0]] for tokens in listed if len(tokens) == 1]] = True
        if longer := [tokens for tokens in listed if len(tokens) > 1]:
            phrases[number] = longer
    return {name: number for number, name in enumerate(split)}, Lists(words, member, phrases)


def _split(words: list[str]) -> list[tuple[str, ...]]:
    """The tokens of each word, each word once."""
    import pyarrow as pa

    from seedstock.corpus.classify.tokens import tokens

    found: list[list[str]] = [[] for _ in words]
    start = 0
    for piece in tokens(pa.array(words, pa.large_string())):
        names = piece.vocabulary.to_pylist()
        for row, code in zip(piece.row.tolist(), piece.codes.tolist(), strict=True):
            found[start + row].append(names[code])
        start += piece.rows
    return list(dict.fromkeys(tuple(one) for one in found if one))


def _languages(batch: pa.RecordBatch) -> list[str]:
    from seedstock.corpus.signals.language import Language

    declared = [normalise(str(json.loads(meta or "{}").get("language") or "")) for meta in batch["meta"].to_pylist()]
    if all(declared):
        return declared
    found, _, _ = Language().identify(batch.column("text"), [bool(name) for name in declared])
    return [name or other for name, other in zip(declared, found, strict=True)]
