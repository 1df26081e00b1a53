"""JSON lines, one document a line; plain or compressed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

from seedstock.config import Config
from seedstock.corpus.sources.base import LONGEST, Item, Partition, Source, Unreadable, share
from seedstock.corpus.sources.files import find, problem, stream


class Fields(Config):
    """Which field (or column) of a record holds what; a record's other fields are kept as its meta."""

    text: str = "text"
    id: str = "id"
    url: str = "url"
    licence: str = "license"
    licence_evidence: str = "licence_evidence"
    domain: str = "domain"
    language: str = "language"
    title: str = "title"


class JsonLines(Source):
    """Files of JSON lines: one file, a folder, a glob, or a list of these.

    A line that is not UTF-8, not a JSON object, has no text or is longer than 64 MiB goes to quarantine with its
    number; a damaged archive gives what comes before the damage.
    """

    kind: Literal["jsonl"] = "jsonl"
    path: str | list[str]
    fields: Fields = Fields()

    def partitions(self) -> list[Partition]:
        found = find(self.path, (".jsonl", ".ndjson", ".json"), f"source {self.name!r}")
        return share([Partition(file.name, file.fingerprint, file.bytes, file.path) for file in found], self.limit)

    def read(self, partition: Partition) -> Iterator[Item | Unreadable]:
        seen: set[str] = set()
        number = 0
        try:
            with stream(partition.payload) as file:
                while line := file.readline(LONGEST + 1):
                    number += 1
                    where = f"{partition.name}:{number}"
                    if len(line) > LONGEST:
                        while line and not line.endswith(b"\n"):
                            line = file.readline(LONGEST)
                        yield Unreadable(where, f"the line is longer than {LONGEST} bytes")
                    elif line.strip():
                        yield self._item(line, partition.name, where, seen)
        except OSError as error:
            yield Unreadable(f"{partition.name}:{number + 1}", f"the file breaks off: {problem(error)}")

    def _item(self, line: bytes, name: str, where: str, seen: set[str]) -> Item | Unreadable:
        try:
            record = json.loads(line.decode())
        except UnicodeDecodeError as error:
            return Unreadable(where, f"not UTF-8: byte 0x{line[error.start]:02x} at {error.start}")
        except (ValueError, RecursionError) as error:
            return Unreadable(where, f"not JSON: {problem(error)}")
        if not isinstance(record, dict):
            return Unreadable(where, "not a JSON object")
        return as_item(record, self.fields, name, where, seen)


def as_item(record: dict[str, Any], fields: Fields, name: str, where: str, seen: set[str]) -> Item | Unreadable:
    """The document of one record; its locator is its id where it has one of its own, or else ``where``.

    ``seen`` collects the ids of a file.
    """
    text = record.get(fields.text)
    if not isinstance(text, str):
        return Unreadable(where, f"no text in the field {fields.text!r}")
    number = record.get(fields.id)
    own = isinstance(number, str | int) and str(number) not in seen
    if own:
        seen.add(str(number))
    licence = record.get(fields.licence) or record.get("licence")
    evidence = record.get(fields.licence_evidence)
    if licence and not evidence:
        evidence = f"the field {fields.licence if record.get(fields.licence) else 'licence'!r} of the record"
    known = {*fields.model_dump().values(), "licence"}
    return Item(
        locator=f"{name}#{number}" if own else where,
        text=text,
        url=_text(record.get(fields.url)),
        licence=_text(licence),
        licence_evidence=_text(evidence),
        domain=_text(record.get(fields.domain)),
        language=_text(record.get(fields.language)),
        title=_text(record.get(fields.title)),
        meta={key: value for key, value in record.items() if key not in known},
    )


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)
