"""Documents that hold pieces of evaluation files: 13 words in a row, compared without case and punctuation.

Source of the rule: Brown et al. 2020 (GPT-3), appendix C.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

import numpy as np

from seedstock.corpus.sources.files import COMPRESSED, Found, find, problem, stem, stream
from seedstock.errors import DataError

WORDS = 13
_WORD = re.compile(r"\w+")
_BASE = np.uint64(0x9E3779B97F4A7C15)


def files(paths: Sequence[str]) -> list[Found]:
    """The evaluation files of a recipe. Raises DataError where one is missing."""
    return find(paths, (".jsonl", ".json", ".txt", ".csv", ".all"), "corpus.decontaminate") if paths else []


class Index:
    """Every 13 words in a row of evaluation files, and where they come from."""

    def __init__(self, found: Sequence[Found]) -> None:
        self.vocabulary: dict[str, int] = {}
        self.grams: dict[tuple[int, ...], str] = {}
        hashes = [np.empty(0, np.uint64)]
        for file in found:
            for where, text in _items(file):
                numbers = [self.vocabulary.setdefault(word, len(self.vocabulary)) for word in _words(text)]
                for start in range(len(numbers) - WORDS + 1):
                    self.grams.setdefault(tuple(numbers[start : start + WORDS]), where)
                if len(numbers) >= WORDS:
                    hashes.append(_hashes(np.array(numbers, np.uint64)))
        self._hashes = np.unique(np.concatenate(hashes))

    def match(self, text: str) -> str | None:
        """The evaluation item that ``text`` shares 13 words in a row with first, or None."""
        numbers = np.array([self.vocabulary.get(word, -1) for word in _words(text)], np.int64)
        if len(numbers) < WORDS or not len(self._hashes):
            return None
        unknown = np.concatenate([[0], np.cumsum(numbers < 0)])
        whole = unknown[WORDS:] == unknown[:-WORDS]
        hashes = _hashes(numbers.astype(np.uint64))[whole]
        at = np.searchsorted(self._hashes, hashes)
        likely = np.flatnonzero(whole)[self._hashes[np.minimum(at, len(self._hashes) - 1)] == hashes]
        exact = (self.grams.get(tuple(numbers[at : at + WORDS].tolist())) for at in likely)
        return next((where for where in exact if where), None)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _hashes(numbers: np.ndarray) -> np.ndarray:
    """A hash of each 13 numbers in a row, uint64 [n - 12]."""
    count = len(numbers) - WORDS + 1
    result = np.zeros(count, np.uint64)
    for offset in range(WORDS):
        result = (result + numbers[offset : offset + count] + np.uint64(1)) * _BASE
    return result


def _items(file: Found) -> Iterator[tuple[str, str]]:
    """(place, text) of each line of an evaluation file; of a JSON line, all of its strings."""
    lines = stem(file.name).endswith((".jsonl", ".json"))
    try:
        with stream(file.path) as opened:
            for number, line in enumerate(opened, 1):
                text = line.decode()
                yield f"{file.name}:{number}", " \n".join(_strings(json.loads(text))) if lines else text
    except (OSError, ValueError) as error:
        raise DataError(
            f"cannot be read as an evaluation file: {problem(error)}",
            where=f"corpus.decontaminate: {file.name}",
            fix=f"give JSON lines or plain text, UTF-8, plain or compressed ({', '.join(COMPRESSED)})",
        ) from error


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)
