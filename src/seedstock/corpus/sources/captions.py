"""What is said of a picture, sound or clip: the fields of a record, and tables of records beside a folder."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from seedstock.config import Config
from seedstock.corpus.sources.base import LONGEST
from seedstock.corpus.sources.files import find, problem, raw, stem, stream
from seedstock.errors import DataError


class MediaFields(Config):
    """Which field of a record holds what; a dot goes into an inner record (``captions.en``). The rest becomes meta.

    ``file`` names the picture, sound or clip in a table beside a folder; ``bytes`` and ``url`` are those of a Parquet
    file. A ``text`` that maps languages to captions gives a document a language; of a list, the first is the text.
    Documents with one ``group`` fall on one side of the held-out split.
    """

    text: str = "text"
    file: str = "file_name"
    bytes: str = "image"
    url: str = "url"
    id: str = "id"
    licence: str = "license"
    licence_evidence: str = "licence_evidence"
    language: str = "language"
    title: str = "title"
    group: str = "group"

    def take(self, record: dict[str, Any], name: str) -> Any:
        """The value of one of these fields in ``record``, or None."""
        value: Any = record
        for step in getattr(self, name).split("."):
            value = value.get(step) if isinstance(value, dict) else None
        return value

    def rest(self, record: dict[str, Any]) -> dict[str, Any]:
        """A record without what these fields name."""
        known = {name.split(".")[0] for name in self.model_dump().values()}
        return {key: value for key, value in record.items() if key not in known and not isinstance(value, bytes)}


def captions(fields: MediaFields, record: dict[str, Any]) -> list[tuple[str, str | None, list[str]]]:
    """(caption, its language where the record says so, further captions) of each document that a record makes."""
    value = fields.take(record, "text")
    own = fields.take(record, "language")
    if isinstance(value, dict):
        pairs = sorted((str(language), _texts(text)) for language, text in value.items())
        return [(texts[0], language, texts[1:]) for language, texts in pairs if texts]
    texts = _texts(value)
    return [(texts[0], str(own) if own else None, texts[1:])] if texts else []


def _texts(value: Any) -> list[str]:
    return [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str) and text.strip()]


def table(path: str, fields: MediaFields, where: str) -> dict[str, dict[str, Any]]:
    """The records of a JSONL, CSV, TSV or Parquet table by the file that each names; several that name one file are
    one record with all their captions. Raises DataError."""
    found: dict[str, list[dict[str, Any]]] = {}
    for file in find(path, (".jsonl", ".json", ".csv", ".tsv", ".parquet"), where):
        try:
            for number, record in enumerate(_records(file.path, stem(file.name).lower())):
                name = fields.take(record, "file") if isinstance(record, dict) else None
                if not isinstance(name, str):
                    raise DataError(
                        f"record {number + 1} has no file name in the field {fields.file!r}",
                        where=f"{where}: {file.path}",
                        fix="name the field that has it: fields: {file: …}",
                    )
                found.setdefault(name.removeprefix("./"), []).append(record)
        except (OSError, ValueError, csv.Error) as error:
            raise DataError(
                f"the table of captions cannot be read: {problem(error)}", where=f"{where}: {file.path}", fix="mend it"
            ) from error
    return {name: rows[0] if len(rows) == 1 else _joined(fields, rows) for name, rows in found.items()}


def _joined(fields: MediaFields, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The first of several records, with the captions of all: a list, or lists by language where there are several."""
    texts: dict[str, list[str]] = {}
    for row in rows:
        for text, language, others in captions(fields, row):
            texts.setdefault(language or "", []).extend([text, *others])
    joined = dict(rows[0])
    *folders, last = fields.text.split(".")
    inner = joined
    for step in folders:
        inner[step] = dict(inner[step]) if isinstance(inner.get(step), dict) else {}
        inner = inner[step]
    inner[last] = texts if len(texts) > 1 else next(iter(texts.values()), None)
    return joined


def _records(path: str, name: str) -> Iterator[Any]:
    if name.endswith(".parquet"):
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            for batch in pq.ParquetFile(raw(path)).iter_batches(batch_size=1024):
                yield from batch.to_pylist()
        except pa.ArrowException as error:
            raise ValueError(problem(error)) from error
        return
    with stream(path) as file:
        if name.endswith((".csv", ".tsv")):
            text = io.TextIOWrapper(file, "utf-8-sig", newline="")
            yield from csv.DictReader(text, delimiter="\t" if name.endswith(".tsv") else ",")
            return
        while line := file.readline(LONGEST):
            if line.strip():
                yield json.loads(line)
