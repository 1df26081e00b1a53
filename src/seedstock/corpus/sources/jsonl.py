"""JSON lines, one document a line; plain or compressed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from seedstock.config import Config
from seedstock.corpus.sources.base import LONGEST, Item, Partition, Source, Unreadable, share
from seedstock.corpus.sources.files import find, printable, problem
from seedstock.corpus.sources.ranges import cut, records


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
    """Files of JSON lines: one file, a folder, a glob, a URL, or a list of these; a large one is cut in pieces.

    A document's locator is ``FILE#ID``, or without an id ``FILE@OFFSET``, the offset of its line in the file's content.
    A line that is not UTF-8, not a JSON object, has no text or is longer than 64 MiB goes to quarantine; a damaged
    archive gives what comes before the damage.
    """

    version: ClassVar[int] = 2
    kind: Literal["jsonl"] = "jsonl"
    path: str | list[str]
    fields: Fields = Fields()

    def partitions(self) -> list[Partition]:
        found = find(self.path, (".jsonl", ".ndjson", ".json"), f"source {self.name!r}")
        return share([part for file in found for part in cut(file)], self.limit)

    def read(self, partition: Partition) -> Iterator[Item | Unreadable]:
        name = partition.payload.name
        for record in records(partition.payload):
            if isinstance(record, Unreadable):
                yield record
                continue
            offset, line = record
            if line is None:
                yield Unreadable(f"{name}@{offset}", f"the line is longer than {LONGEST} bytes")
            elif line.strip():
                yield self._item(line, name, offset)

    def _item(self, line: bytes, name: str, offset: int) -> Item | Unreadable:
        where = f"{name}@{offset}"
        try:
            record = json.loads(line.decode("utf-8" if offset else "utf-8-sig"))
        except UnicodeDecodeError as error:
            return Unreadable(where, f"not UTF-8: byte 0x{line[error.start]:02x} at {error.start}")
        except (ValueError, RecursionError) as error:
            return Unreadable(where, f"not JSON: {problem(error)}")
        if not isinstance(record, dict):
            return Unreadable(where, "not a JSON object")
        return as_item(record, self.fields, name, where, offset)


def as_item(record: dict[str, Any], fields: Fields, name: str, where: str, at: int) -> Item | Unreadable:
    """The document of one record; its locator is its id where it has one, or else ``where``.

    Records that share an id share a locator: ``at`` in their meta, the record's place in its file, tells them apart.
    """
    text = record.get(fields.text)
    if not isinstance(text, str):
        return Unreadable(where, f"no text in the field {fields.text!r}")
    number = record.get(fields.id)
    own = isinstance(number, str | int) and str(number) != ""
    licence = record.get(fields.licence) or record.get("licence")
    evidence = record.get(fields.licence_evidence)
    if licence and not evidence:
        evidence = f"the field {fields.licence if record.get(fields.licence) else 'licence'!r} of the record"
    known = {*fields.model_dump().values(), "licence"}
    return Item(
        locator=f"{name}#{printable(str(number))}" if own else where,
        text=text,
        url=_text(record.get(fields.url)),
        licence=_text(licence),
        licence_evidence=_text(evidence),
        domain=_text(record.get(fields.domain)),
        language=_text(record.get(fields.language)),
        title=_text(record.get(fields.title)),
        meta={key: value for key, value in record.items() if key not in known} | ({"at": at} if own else {}),
    )


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)
