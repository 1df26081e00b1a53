"""HTML files: one file, one document; what is text in it is found by extraction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from seedstock.corpus.sources.base import LONGEST, Item, Partition, Source, Unreadable, sample
from seedstock.corpus.sources.files import find, problem, stem, stream
from seedstock.corpus.sources.ranges import changed, whole
from seedstock.corpus.sources.webpage import HTML


class Html(Source):
    """HTML and XHTML files, plain or compressed: a file, a folder, a glob, a URL, or a list of these."""

    kind: Literal["html"] = "html"
    path: str | list[str]

    def partitions(self) -> list[Partition]:
        found = find(self.path, (".html", ".htm", ".xhtml"), f"source {self.name!r}")
        chosen = sample({file.name: file.bytes for file in found}, self.limit)
        return [whole(file) for file in found if file.name in chosen]

    def read(self, partition: Partition) -> Iterator[Item | Unreadable]:
        piece = partition.payload
        try:
            with stream(piece.path) as file:
                raw = file.read(LONGEST + 1)
        except OSError as error:
            yield Unreadable(piece.name, f"cannot be read: {problem(error)}")
            return
        if len(raw) > LONGEST:
            yield Unreadable(piece.name, f"longer than {LONGEST} bytes")
            return
        kind = HTML[1] if stem(piece.name).lower().endswith(".xhtml") else HTML[0]
        yield Item(piece.name, raw=raw, media_type=kind)
        yield from changed(piece)
