"""The items of evaluation files: what a training document must not hold."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from seedstock.corpus.sources.files import COMPRESSED, Found, find, problem, stem, stream
from seedstock.errors import DataError

VERSION = 2  # of what counts as an item, and as a match: part of a corpus's inputs
SUFFIXES = (".jsonl", ".ndjson", ".json", ".txt", ".csv", ".tsv", ".all", ".parquet")
LONGEST = 64 * 2**20  # bytes of a line, or of a JSON file that is one value


@dataclass(frozen=True, slots=True)
class EvaluationItem:
    """One item: its file and number (a line's, a row's, an element's, from 1), and its strings, each with its key."""

    file: str
    number: int
    strings: tuple[tuple[str, str], ...]

    @property
    def where(self) -> str:
        return f"{self.file}:{self.number}"

    @property
    def text(self) -> str:
        """All of the strings, in their order."""
        return "\n".join(text for _, text in self.strings)


def files(paths: Sequence[str]) -> list[Found]:
    """The evaluation files of a recipe. Raises DataError where one is missing."""
    return find(paths, SUFFIXES, "corpus.decontaminate") if paths else []


def items(file: Found) -> Iterator[EvaluationItem]:
    """The items of one file: JSON lines, a JSON list, CSV, TSV or Parquet rows, or lines of text.

    Raises DataError where the file cannot be read.
    """
    try:
        for number, record in _records(file):
            strings = tuple((key, text) for key, text in _strings(record, "") if text.strip())
            if strings:
                yield EvaluationItem(file.name, number, strings)
    except (OSError, ValueError, RecursionError, csv.Error) as error:
        raise DataError(
            f"cannot be read as an evaluation file: {problem(error)}",
            where=f"corpus.decontaminate: {file.name}",
            fix="give JSON lines, JSON, CSV, Parquet or plain text, UTF-8, plain or compressed "
            f"({', '.join(COMPRESSED)})",
        ) from error


def _records(file: Found) -> Iterator[tuple[int, Any]]:
    name = stem(file.name).lower()
    if name.endswith(".parquet"):
        import pyarrow.parquet as pq

        batches = pq.ParquetFile(file.path).iter_batches()
        yield from enumerate((row for batch in batches for row in batch.to_pylist()), 1)
        return
    if name.endswith(".json") and (whole := _whole(file)) is not None:
        yield from enumerate(whole, 1)
        return
    lines = _lines(file)
    if name.endswith((".csv", ".tsv")):
        rows = csv.reader((line for _, line in lines), delimiter="\t" if name.endswith(".tsv") else ",")
        yield from enumerate(rows, 1)
    elif name.endswith((".jsonl", ".ndjson", ".json")):
        yield from ((number, json.loads(line)) for number, line in lines if line.strip())
    else:
        yield from lines


def _whole(file: Found) -> list[Any] | None:
    """The elements of a file that is one JSON value; None where it is JSON lines.

    Of an object, its values that are lists, one after another: many benchmarks are ``{"data": [...]}``.
    """
    with stream(file.path) as opened:
        data = opened.read(LONGEST + 1)
    try:
        value = json.loads(data)
    except ValueError:
        return None  # more than one value, or none: the reader of lines says what is wrong
    if isinstance(value, dict):
        lists = [inner for inner in value.values() if isinstance(inner, list)]
        value = [element for inner in lists for element in inner] if lists else [value]
    return value if isinstance(value, list) else [value]


def _lines(file: Found) -> Iterator[tuple[int, str]]:
    with stream(file.path) as opened:
        number = 0
        while line := opened.readline(LONGEST + 1):
            number += 1
            if len(line) > LONGEST:
                raise ValueError(f"line {number} is longer than {LONGEST} bytes")
            yield number, line.decode().removeprefix("\ufeff")


def _strings(value: object, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _strings(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner, key)
