"""FASTA files: one sequence, one document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO, Any, Literal

import numpy as np

from seedstock.corpus.sources.base import LONGEST, Item, Partition, Source, Unreadable, share
from seedstock.corpus.sources.families import families
from seedstock.corpus.sources.files import find, problem, stream

SUFFIXES = (".fasta", ".fa", ".faa", ".fna", ".ffn", ".fas")
_ALLOWED = re.compile(rb"[A-Za-z*.-]*")
_FIELD = re.compile(r"(?:^|\s)([A-Za-z][A-Za-z0-9_.]*)=")
_READ = 1 << 20


class Fasta(Source):
    """Sequences of proteins or nucleotides: one file, a folder, a glob, or a list of these; plain or compressed.

    The text is the sequence without line ends. The header's identifier, its description and its ``key=value`` fields
    (as UniProt writes them) go into the meta; prokka's ``EC~~~gene~~~product`` is taken apart. A header without a
    sequence, a sequence without a header, and one with other characters than letters, ``*``, ``-`` and ``.`` go to
    quarantine. ``families`` puts sequences of one file that share descent on one side of the held-out split
    (``sources.families``); the file is then read twice, and its sequences are in memory together.
    """

    kind: Literal["fasta"] = "fasta"
    path: str | list[str]
    families: bool = False
    domain: str | None = "proteins"
    language: str | None = "und"

    def partitions(self) -> list[Partition]:
        found = find(self.path, SUFFIXES, f"source {self.name!r}")
        return share([Partition(file.name, file.fingerprint, file.bytes, file.path) for file in found], self.limit)

    def read(self, partition: Partition) -> Iterator[Item | Unreadable]:
        seen: set[str] = set()
        number = 0
        try:
            kin = self._families(partition) if self.families else None
            with stream(partition.payload) as file:
                for header, sequence in _entries(file):
                    item = self._item(partition.name, number + 1, header, sequence, seen)
                    if kin is not None and isinstance(item, Item):
                        item.meta["split_group"] = f"{partition.name}:{kin[number] + 1}"
                    number += 1
                    yield item
        except OSError as error:
            yield Unreadable(f"{partition.name}:{number + 1}", f"the file breaks off: {problem(error)}")

    @staticmethod
    def _families(partition: Partition) -> np.ndarray:
        with stream(partition.payload) as file:
            return families([sequence or b"" for _, sequence in _entries(file)])

    def _item(
        self, name: str, number: int, header: str | None, sequence: bytes | None, seen: set[str]
    ) -> Item | Unreadable:
        where = f"{name}:{number}"
        if header is None:
            return Unreadable(where, "a sequence without a header")
        if sequence is None:
            return Unreadable(where, f"the sequence is longer than {LONGEST} bytes")
        meta = parse(header)
        if not sequence:
            return Unreadable(where, "a header without its sequence")
        if (good := _ALLOWED.match(sequence)) is None or good.end() < len(sequence):
            at = good.end() if good else 0
            return Unreadable(where, f"byte 0x{sequence[at]:02x} at {at} is no letter of a sequence")
        own = meta["id"] if meta["id"] not in seen else ""
        seen.add(meta["id"])
        return Item(
            locator=f"{name}#{own}" if own else where,
            text=sequence.decode("ascii"),
            title=meta.get("description"),
            language=self.language,
            meta=meta,
        )


def parse(header: str) -> dict[str, Any]:
    """The meta of a header, without its ``>``: id, description, and its fields by their names."""
    number, _, rest = header.strip().partition(" ")
    meta: dict[str, Any] = {"id": number}
    cuts = list(_FIELD.finditer(rest))
    description = rest[: cuts[0].start()] if cuts else rest
    for cut, following in zip(cuts, [*cuts[1:], None], strict=False):
        value = rest[cut.end() : following.start() if following else None].strip()
        if cut[1] not in meta and value:
            meta[cut[1]] = value
    if "~~~" in description:
        names = ("ec", "gene", "product", "cog")
        meta |= {
            name: value.strip() for name, value in zip(names, description.split("~~~"), strict=False) if value.strip()
        }
        description = str(meta.get("product", ""))
    if description.strip():
        meta["description"] = description.strip()
    return meta


def _entries(file: IO[bytes]) -> Iterator[tuple[str | None, bytes | None]]:
    """(header, sequence); the header is None before the first one, the sequence where it is too long."""
    header: str | None = None
    pieces: list[bytes] = []
    size, fresh = 0, True  # fresh: at the beginning of a line, not inside of a long one
    in_header = comment = False
    while line := file.readline(_READ):
        if fresh and line.startswith(b">"):
            if header is not None or size:
                yield header, b"".join(pieces) if size <= LONGEST else None
            header, pieces, size, in_header = line[1:].decode("utf-8", "backslashreplace").strip(), [], 0, True
        elif fresh and line.startswith(b";"):
            comment = True
        elif not (in_header or comment):
            piece = b"".join(line.split())
            size += len(piece)
            if size <= LONGEST:
                pieces.append(piece)
            else:
                pieces = []
        fresh = line.endswith(b"\n")
        if fresh:
            in_header = comment = False
    if header is not None or size:
        yield header, b"".join(pieces) if size <= LONGEST else None
