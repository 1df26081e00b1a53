"""Plain files: one file, one document; or one document between separators."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from seedstock.corpus.sources.base import LONGEST, Item, Partition, Source, Unreadable, sample, share
from seedstock.corpus.sources.files import find, stem
from seedstock.corpus.sources.markup import MARKDOWN, RST, describe
from seedstock.corpus.sources.ranges import changed, content, cut, records, whole

CODE = {".py": "python", ".pyi": "python", ".c": "c", ".h": "c", ".js": "javascript", ".rs": "rust", ".go": "go"}


def known_encoding(encoding: str) -> str:
    """The encoding, or ValueError where Python does not know it."""
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise ValueError(f"{encoding!r} is not an encoding that Python knows; write utf-8 or latin-1") from None
    return encoding


def ascii_based(encoding: str) -> str:
    """The encoding, or ValueError where a line's end is not the byte of ASCII, as in UTF-16."""
    plain = bytes(range(128))
    if plain.decode(encoding, "replace") != plain.decode("ascii"):
        raise ValueError(f"files in {encoding} cannot be cut into records; convert them to UTF-8")
    return encoding


class Text(Source):
    """Text files: one file, a folder, a glob, a URL, or a list of these; plain or compressed.

    ``suffixes`` chooses files in folders. Files must be in ``encoding``: one that is not goes to quarantine, since a
    guess would put garbage into the corpus unseen. ``separator`` cuts each file into documents, named by their offset;
    a large file is shared between workers where the separator is one byte, as ``"\\n"`` is. ``front_matter`` takes what
    Markdown and reStructuredText files say of themselves out of their head, into title, licence, language and meta.
    ``limit`` counts files as they are stored, and takes a sample of them, or a share of each with a separator.
    """

    version: ClassVar[int] = 2
    kind: Literal["text"] = "text"
    path: str | list[str]
    suffixes: tuple[str, ...] = (".txt", *MARKDOWN, *RST, *CODE)
    encoding: Annotated[str, AfterValidator(known_encoding)] = "utf-8"
    separator: Annotated[str, Field(min_length=1)] | None = None
    front_matter: bool = True

    @model_validator(mode="after")
    def _can_be_cut(self) -> Text:
        if self.separator is not None:
            ascii_based(self.encoding)
        return self

    def partitions(self) -> list[Partition]:
        found = find(self.path, self.suffixes, f"source {self.name!r}")
        if self.separator is None:
            chosen = sample({file.name: file.bytes for file in found}, self.limit)
            return [whole(file) for file in found if file.name in chosen]
        one = len(self.separator.encode(self.encoding)) == 1
        return share([part for file in found for part in (cut(file) if one else [whole(file)])], self.limit)

    def read(self, partition: Partition) -> Iterator[Item | Unreadable]:
        piece = partition.payload
        language = CODE.get(PurePosixPath(stem(piece.name)).suffix.lower())
        domain = "code" if language else None
        given: dict[str, Any] = {"encoding": self.encoding, "domain": domain, "language": language}
        if self.separator is not None:
            for record in records(piece, self.separator.encode(self.encoding)):
                if isinstance(record, Unreadable):
                    yield record
                elif record[1] is None:
                    yield Unreadable(f"{piece.name}@{record[0]}", f"longer than {LONGEST} bytes")
                elif record[1].strip():
                    yield Item(locator=f"{piece.name}@{record[0]}", raw=record[1], **given)
            return
        raw = content(piece)
        if isinstance(raw, Unreadable):
            yield raw
            return
        yield self._described(Item(locator=piece.name, raw=raw, **given))
        yield from changed(piece)

    def _described(self, item: Item) -> Item:
        name = stem(item.locator)
        if not (self.front_matter and name.lower().endswith((*MARKDOWN, *RST))):
            return item
        try:
            about = describe(name, (item.raw or b"").decode(self.encoding))
        except UnicodeError:
            return item  # the reader says so
        item.title, item.language = about.title, about.language
        if about.licence:
            item.licence, item.licence_evidence = about.licence, "the head of the file"
        if about.pairs:
            item.meta = {"head": about.pairs}
        if about.skipped:
            item.raw, item.text, item.meta["skipped"] = None, about.body, about.skipped
        return item
