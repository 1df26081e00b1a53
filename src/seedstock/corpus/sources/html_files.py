"""HTML files: one file, one document; what is text in it is found by extraction."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Literal

from seedstock.corpus.sources import tar_pieces
from seedstock.corpus.sources.base import LONGEST, Item, Partition, Source, Unreadable, sample
from seedstock.corpus.sources.files import Found, find, stem
from seedstock.corpus.sources.members import tar
from seedstock.corpus.sources.ranges import Piece, changed, content, whole
from seedstock.corpus.sources.webpage import HTML


class Html(Source):
    """HTML and XHTML files, plain or compressed, or members of tar archives: a file, a folder, a glob, a URL, or a list
    of these."""

    kind: Literal["html"] = "html"
    path: str | list[str]

    def partitions(self) -> list[Partition]:
        found = find(self.path, (*SUFFIXES, ".tar"), f"source {self.name!r}")
        chosen = sample({file.name: file.bytes for file in found}, self.limit)
        return [part for file in found if file.name in chosen for part in _cut(file)]

    def read(self, partition: Partition) -> Iterator[Item | Unreadable]:
        piece = partition.payload
        if _is_archive(piece.name):
            yield from self._members(piece)
            yield from changed(piece)
            return
        raw = content(piece)
        if isinstance(raw, Unreadable):
            yield raw
            return
        yield Item(piece.name, raw=raw, media_type=_type(piece.name))
        yield from changed(piece)

    def _members(self, piece: Piece) -> Iterator[Item | Unreadable]:
        """The pages of an archive, each plain or in gzip; other members are left out."""
        for member in tar(piece, LONGEST):
            if isinstance(member, Unreadable):
                yield member
                continue
            name, raw = member
            if not stem(name).lower().endswith(SUFFIXES):
                continue
            if name.lower().endswith(".gz"):
                try:
                    reader = zlib.decompressobj(wbits=31)
                    raw = reader.decompress(raw, LONGEST + 1)
                    if len(raw) <= LONGEST and not reader.eof:
                        raise zlib.error("it is cut off")
                except zlib.error as error:
                    yield Unreadable(name, f"damaged gzip: {error}")
                    continue
            if len(raw) > LONGEST:
                yield Unreadable(name, f"longer than {LONGEST} bytes")
                continue
            yield Item(name, raw=raw, media_type=_type(name))


SUFFIXES = (".html", ".htm", ".xhtml")


def _is_archive(name: str) -> bool:
    return stem(name).lower().endswith(".tar")


def _cut(file: Found) -> list[Partition]:
    return tar_pieces.pieces(file) if _is_archive(file.name) else [whole(file)]


def _type(name: str) -> str:
    return HTML[1] if stem(name).lower().endswith(".xhtml") else HTML[0]
