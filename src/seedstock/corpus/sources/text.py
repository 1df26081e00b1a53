"""Plain files: one file, one document."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from seedstock.corpus.sources.base import LONGEST, Item, Partition, Source, Unreadable, sample
from seedstock.corpus.sources.files import find, problem, stem, stream

CODE = {".py": "python", ".pyi": "python", ".c": "c", ".h": "c", ".js": "javascript", ".rs": "rust", ".go": "go"}


def _known(encoding: str) -> str:
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise ValueError(f"{encoding!r} is not an encoding that Python knows; write utf-8 or latin-1") from None
    return encoding


class Text(Source):
    """Text files: one file, a folder, a glob, or a list of these; plain or compressed.

    ``suffixes`` chooses files in folders. Files must be in ``encoding``: one that is not goes to quarantine, since a
    guess would put garbage into the corpus unseen. ``separator`` cuts each file into several documents. ``limit``
    counts files as they are stored, and takes a sample of them.
    """

    kind: Literal["text"] = "text"
    path: str | list[str]
    suffixes: tuple[str, ...] = (".txt", ".md", ".rst", *CODE)
    encoding: Annotated[str, AfterValidator(_known)] = "utf-8"
    separator: Annotated[str, Field(min_length=1)] | None = None

    def partitions(self) -> list[Partition]:
        found = find(self.path, self.suffixes, f"source {self.name!r}")
        chosen = sample({file.name: file.bytes for file in found}, self.limit)
        return [Partition(file.name, file.fingerprint, file.bytes, file.path) for file in found if file.name in chosen]

    def read(self, partition: Partition) -> Iterator[Item | Unreadable]:
        name = partition.name
        try:
            with stream(partition.payload) as file:
                raw = file.read(LONGEST + 1)
        except OSError as error:
            yield Unreadable(name, f"cannot be read: {problem(error)}")
            return
        if len(raw) > LONGEST:
            yield Unreadable(name, f"longer than {LONGEST} bytes; cut it, or make it JSON lines")
            return
        language = CODE.get(PurePosixPath(stem(name)).suffix.lower())
        for number, piece in enumerate(self._pieces(raw)):
            yield Item(
                locator=name if self.separator is None else f"{name}#{number}",
                raw=piece,
                encoding=self.encoding,
                domain="code" if language else None,
                language=language,
            )

    def _pieces(self, raw: bytes) -> list[bytes]:
        if self.separator is None:
            return [raw]
        return [piece for piece in raw.split(self.separator.encode(self.encoding)) if piece.strip()]
