"""PDF files: one document a file, by its text layer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from seedstock.config import Bytes, Count
from seedstock.corpus.rights.stated import stated
from seedstock.corpus.sources.base import LONGEST, Item, Partition, Source, Unreadable, needs, sample
from seedstock.corpus.sources.files import find, problem, stream
from seedstock.corpus.sources.ranges import changed, whole

_HYPHEN = re.compile("[\x02\ufffe]\n?")  # how the library marks a word that is divided over lines
_XMP = re.compile(rb"<x:xmpmeta\b.{0,65536}?</x:xmpmeta>", re.DOTALL)
_TAG = re.compile(r"<[^>]*?(?:resource=[\"']([^\"']*)[\"'][^>]*)?>")


class Pdf(Source):
    """PDF files: a file, a folder, a glob, a URL, or a list of these.

    The text is that of the text layer, a blank line between pages; nothing is recognised from pictures. The meta holds
    the number of ``pages``, the byte ``offsets`` at which each begins, and ``scanned``, the numbers of the pages
    without a text. A file that is encrypted, damaged, longer than ``longest`` or of more than ``most_pages`` goes to
    quarantine. The licence is that of a Creative Commons address in its metadata (XMP).
    """

    kind: Literal["pdf"] = "pdf"
    path: str | list[str]
    longest: Annotated[Bytes, Field(gt=0)] = 256 * 2**20
    most_pages: Annotated[Count, Field(gt=0)] = 20_000

    def partitions(self) -> list[Partition]:
        found = find(self.path, (".pdf",), f"source {self.name!r}")
        chosen = sample({file.name: file.bytes for file in found}, self.limit)
        return [whole(file) for file in found if file.name in chosen]

    def read(self, partition: Partition) -> Iterator[Item | Unreadable]:
        pdfium = needs("pypdfium2", "pypdfium2, which reads PDF files,", "books")
        piece = partition.payload
        try:
            with stream(piece.path) as file:
                data = file.read(self.longest + 1)
        except OSError as error:
            yield Unreadable(piece.name, f"cannot be read: {problem(error)}")
            return
        if len(data) > self.longest:
            yield Unreadable(piece.name, f"longer than {self.longest} bytes")
            return
        try:
            yield self._item(piece.name, data, pdfium)
        except (pdfium.PdfiumError, ValueError) as error:
            yield Unreadable(piece.name, f"not a PDF that can be read: {problem(error)}")
            return
        yield from changed(piece)

    def _item(self, name: str, data: bytes, pdfium: Any) -> Item | Unreadable:
        document = pdfium.PdfDocument(data)
        try:
            if len(document) > self.most_pages:
                return Unreadable(name, f"it has {len(document)} pages, more than {self.most_pages}")
            texts, offsets, scanned, size = list[str](), list[int](), list[int](), 0
            for number in range(len(document)):
                text = _text(document, number, pdfium)
                if not text:
                    scanned.append(number + 1)
                offsets.append(size)
                texts.append(text)
                size += len(text.encode()) + 2
                if size > LONGEST:
                    return Unreadable(name, f"its text is longer than {LONGEST} bytes")
            about = {key.lower(): value for key, value in document.get_metadata_dict(skip_empty=True).items()}
        finally:
            document.close()
        meta: dict[str, Any] = {key: about[key][:1000] for key in ("author", "creationdate", "subject") if key in about}
        licence, evidence = _licence(data)
        meta |= {"pages": len(texts), "offsets": offsets} | ({"scanned": scanned} if scanned else {})
        title = about.get("title")
        return Item(
            name,
            text="\n\n".join(texts) if size > 2 * len(texts) else "",
            title=title,
            licence=licence,
            licence_evidence=evidence,
            meta=meta,
        )


def _text(document: Any, number: int, pdfium: Any) -> str:
    """The text of a page; "" where it has none, or is damaged."""
    try:
        page = document[number]
        found = page.get_textpage()
        try:
            text = found.get_text_range()
        finally:
            found.close()
            page.close()
    except pdfium.PdfiumError:
        return ""
    lines = _HYPHEN.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return lines.encode("utf-8", "replace").decode().replace("\0", "").strip()


def _licence(data: bytes) -> tuple[str | None, str | None]:
    found = _XMP.search(data)
    if not found:
        return None, None
    words = _TAG.sub(lambda tag: f" {tag[1] or ''} ", found[0].decode("utf-8", "replace"))
    return stated(words, "XMP") if "creativecommons.org" in words else (None, None)
