"""FASTA files: one sequence, one document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np

from seedstock.corpus.sources.base import LONGEST, Item, Partition, Source, Unreadable, share
from seedstock.corpus.sources.families import families
from seedstock.corpus.sources.files import find
from seedstock.corpus.sources.ranges import Piece, changed, cut, records, whole

SUFFIXES = (".fasta", ".fa", ".faa", ".fna", ".ffn", ".fas")
_ALLOWED = re.compile(rb"[A-Za-z*.-]*")
_FIELD = re.compile(r"(?:^|\s)([A-Za-z][A-Za-z0-9_.]*)=")
HEADER = 1 << 20  # bytes of a header that are looked at


class Fasta(Source):
    """Sequences of proteins or nucleotides: one file, a folder, a glob, or a list of these; plain or compressed.

    The text is the sequence without line ends. The header's identifier, its description and its ``key=value`` fields
    (as UniProt writes them) go into the meta; prokka's ``EC~~~gene~~~product`` is taken apart. A header without a
    sequence, a sequence without a header, and one with other characters than letters, ``*``, ``-`` and ``.`` go to
    quarantine. ``families`` puts sequences of one file that share descent on one side of the held-out split
    (``sources.families``); the file is then read twice, and its sequences are in memory together. Without it a large
    file is cut where entries begin. ``at`` in the meta is where an entry begins in the file's content.
    """

    version: ClassVar[int] = 2
    kind: Literal["fasta"] = "fasta"
    path: str | list[str]
    families: bool = False
    domain: str | None = "proteins"
    language: str | None = "und"

    def partitions(self) -> list[Partition]:
        found = find(self.path, SUFFIXES, f"source {self.name!r}")
        return share([part for file in found for part in ([whole(file)] if self.families else cut(file))], self.limit)

    def read(self, partition: Partition) -> Iterator[Item | Unreadable]:
        piece: Piece = partition.payload
        kin = self._families(piece) if self.families else None
        number = 0
        for entry in _entries(piece):
            if isinstance(entry, Unreadable):
                yield entry
                continue
            item = self._item(piece.name, *entry)
            if kin is not None:
                if isinstance(item, Item):
                    item.meta["split_group"] = f"{partition.name}:{kin[number] + 1}"
                number += 1
            yield item

    @staticmethod
    def _families(piece: Piece) -> np.ndarray:
        return families([entry[2] or b"" for entry in _entries(piece) if not isinstance(entry, Unreadable)])

    def _item(self, name: str, at: int, header: str | None, sequence: bytes | None) -> Item | Unreadable:
        where = f"{name}@{at}"
        if header is None:
            return Unreadable(where, "a sequence without a header")
        if sequence is None:
            return Unreadable(where, f"the sequence is longer than {LONGEST} bytes")
        meta = parse(header)
        if not sequence:
            return Unreadable(where, "a header without its sequence")
        if (good := _ALLOWED.match(sequence)) is None or good.end() < len(sequence):
            first = good.end() if good else 0
            return Unreadable(where, f"byte 0x{sequence[first]:02x} at {first} is no letter of a sequence")
        return Item(
            locator=f"{name}#{meta['id']}" if meta["id"] else where,
            text=sequence.decode("ascii"),
            title=meta.get("description"),
            language=self.language,
            meta={**meta, "at": at},
        )


def parse(header: str) -> dict[str, Any]:
    """The meta of a header, without its ``>``: id, description, and its fields by their names."""
    number, _, rest = header.strip().partition(" ")
    meta: dict[str, Any] = {"id": number}
    cuts = list(_FIELD.finditer(rest))
    description = rest[: cuts[0].start()] if cuts else rest
    for found, following in zip(cuts, [*cuts[1:], None], strict=False):
        value = rest[found.end() : following.start() if following else None].strip()
        if found[1] not in meta and value:
            meta[found[1]] = value
    if "~~~" in description:
        names = ("ec", "gene", "product", "cog")
        meta |= {
            name: value.strip() for name, value in zip(names, description.split("~~~"), strict=False) if value.strip()
        }
        description = str(meta.get("product", ""))
    if description.strip():
        meta["description"] = description.strip()
    return meta


Entry = tuple[int, str | None, bytes | None]


def _entries(piece: Piece) -> Iterator[Entry | Unreadable]:
    """(offset, header, sequence) of the entries whose headers are lines of a piece; the header is None before the first
    one of a file, the sequence where it is too long.
    """
    at, header = piece.start, None
    mine, parts, size = piece.start == 0, list[bytes](), 0

    def entry() -> Entry:
        return at, header, b"".join(parts) if size <= LONGEST else None

    for line in records(replace(piece, end=None)):  # an entry goes on into the next piece
        if isinstance(line, Unreadable):
            if mine and (header is not None or size) and line.locator == piece.name:  # else the entry is cut off
                yield entry()
            yield line
            return
        offset, data = line
        if data is not None and data.startswith(b">"):
            if mine and (header is not None or size):
                yield entry()
            if piece.end is not None and offset > piece.end:
                yield from changed(piece)
                return
            at, header, mine, parts, size = offset, _text(data), True, [], 0
        elif data is None:
            size = LONGEST + 1
        elif not data.startswith(b";"):
            data = b"".join(data.split())
            size += len(data)
            if size <= LONGEST:
                parts.append(data)
            else:
                parts.clear()
    if mine and (header is not None or size):
        yield entry()


def _text(line: bytes) -> str:
    return line[1:HEADER].decode("utf-8", "backslashreplace").strip()
