"""CSV and TSV files: one document a record, named by its offset in the file's content."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from seedstock.corpus.sources.base import LONGEST, Item, Partition, Source, Unreadable, share
from seedstock.corpus.sources.files import find, problem, stem
from seedstock.corpus.sources.jsonl import Fields, as_item
from seedstock.corpus.sources.ranges import Piece, cut, records, whole
from seedstock.corpus.sources.text import ascii_based, known_encoding


class Csv(Source):
    """CSV and TSV files (RFC 4180): a file, a folder, a glob, a URL, or a list of these; ``fields`` names the columns.

    The first line names the columns, unless ``columns`` does. ``delimiter`` is a tab in ``.tsv`` files and a comma in
    others. ``multiline`` says that quoted values may hold line ends, as those of texts often do; a large file is cut in
    pieces only where it is false, since only then does a line end where it seems to.
    """

    kind: Literal["csv"] = "csv"
    path: str | list[str]
    fields: Fields = Fields()
    columns: tuple[str, ...] | None = None
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    quote: Annotated[str, Field(min_length=1, max_length=1)] | None = '"'
    multiline: bool = True
    encoding: Annotated[str, AfterValidator(known_encoding), AfterValidator(ascii_based)] = "utf-8"

    @model_validator(mode="after")
    def _text_is_a_column(self) -> Csv:
        if self.columns is not None and self.fields.text not in self.columns:
            raise ValueError(
                f"columns has no {self.fields.text!r}; say in fields: {{text: COLUMN}} which one is the text"
            )
        return self

    def partitions(self) -> list[Partition]:
        found = find(self.path, (".csv", ".tsv", ".tab"), f"source {self.name!r}")
        return share([part for file in found for part in ([whole(file)] if self.multiline else cut(file))], self.limit)

    def read(self, partition: Partition) -> Iterator[Item | Unreadable]:
        piece = partition.payload
        columns = self.columns
        if columns is None:
            first = next(iter(records(Piece(piece.path, piece.name, piece.stamp))), None)
            if first is None or isinstance(first, Unreadable) or first[1] is None:
                yield first if isinstance(first, Unreadable) else Unreadable(piece.name, "it has no first line")
                return
            try:
                columns = tuple(self._rows(iter([self._text(0, first[1])]), piece.name).__next__())
            except (ValueError, csv.Error, StopIteration) as error:
                yield Unreadable(piece.name, f"its first line does not name the columns: {problem(error)}")
                return
            if self.fields.text not in columns:
                named = ", ".join(columns)[:200]
                yield Unreadable(piece.name, f"there is no column {self.fields.text!r}; there are {named}")
                return
        csv.field_size_limit(LONGEST)
        yield from self._items(_Lines(piece, self), columns)

    def _items(self, lines: _Lines, columns: tuple[str, ...]) -> Iterator[Item | Unreadable]:
        name, skip = lines.piece.name, self.columns is None and lines.piece.start == 0
        rows = self._rows(lines, name)
        while True:
            lines.begin()
            try:
                row = next(rows)
            except StopIteration:
                break
            except (ValueError, csv.Error) as error:
                rows = self._rows(lines, name)  # the old one has half a record in it
                lines.pass_over()
                yield Unreadable(f"{name}@{lines.first}", f"not a record: {problem(error)}")
                continue
            if skip:
                skip = False
            elif len(row) == len(columns):
                record = dict(zip(columns, row, strict=True))
                yield as_item(record, self.fields, name, f"{name}@{lines.first}", lines.first)
            elif row:
                yield Unreadable(f"{name}@{lines.first}", f"{len(row)} values for {len(columns)} columns")
        yield from lines.problems

    def _rows(self, lines: Iterator[str], name: str) -> Iterator[list[str]]:
        tabs = stem(name).lower().endswith((".tsv", ".tab"))
        return csv.reader(
            lines,
            delimiter=self.delimiter or ("\t" if tabs else ","),
            quotechar=self.quote,
            quoting=csv.QUOTE_NONE if self.quote is None else csv.QUOTE_MINIMAL,
            strict=True,
        )

    def _text(self, offset: int, line: bytes) -> str:
        text = line.decode(self.encoding)
        return (text.removeprefix("\ufeff") if offset == 0 else text) + "\n"


class _Lines(Iterator[str]):
    """The lines of a piece, and where the record began that they are read for; one line to a record, or several."""

    def __init__(self, piece: Piece, source: Csv) -> None:
        self.piece, self.source = piece, source
        self.lines = records(piece)
        self.problems: list[Unreadable] = []
        self.first, self.count, self.bytes, self.quotes = piece.start, 0, 0, 0
        self.quote = (source.quote or "").encode(source.encoding) if source.multiline else b""

    def begin(self) -> None:
        self.count = self.bytes = self.quotes = 0

    def pass_over(self) -> None:
        """Leaves out the rest of a record that is broken: lines up to the one that closes its quotes."""
        while self.quotes % 2:
            try:
                self._next()
            except StopIteration:
                return

    def _next(self) -> tuple[int, bytes | None]:
        found = next(self.lines)
        while isinstance(found, Unreadable):
            self.problems.append(found)
            found = next(self.lines)
        if self.quote and found[1]:
            self.quotes += found[1].count(self.quote)
        return found

    def __next__(self) -> str:
        offset, line = self._next()
        if not self.count:
            self.first = offset
        self.count += 1
        self.bytes += len(line or b"")
        if line is None or self.bytes > LONGEST:
            raise ValueError(f"it is longer than {LONGEST} bytes")
        if self.count > 1 and not self.source.multiline:
            raise ValueError("a quote is not closed on its line (multiline: true would read on)")
        return self.source._text(offset, line)
