"""EPUB books: one document a chapter, in the order of reading, with what the book says of itself and its rights."""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import unquote
from xml.etree import ElementTree

from seedstock.corpus.rights.stated import stated
from seedstock.corpus.sources import zips
from seedstock.corpus.sources.base import Item, Partition, Source, Unreadable, sample
from seedstock.corpus.sources.files import find, printable, problem
from seedstock.corpus.sources.plain_text import convert
from seedstock.corpus.sources.ranges import changed, whole

CHAPTER, PACKAGE = 16 * 2**20, 4 * 2**20  # bytes of a chapter, and of a file that describes the book
CHAPTERS = 10_000
_PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")
_ENCODING = re.compile(rb"""^(?:\xef\xbb\xbf)?<\?xml[^>]{0,200}?encoding=["']([A-Za-z0-9._-]+)["']""")


class Epub(Source):
    """EPUB files: a file, a folder, a glob, a URL, or a list of these.

    A chapter's locator is ``FILE#MEMBER``, its title that of the book; the meta holds chapter, author, identifier,
    publisher, date and rights. The licence is what ``dc:rights`` states: an SPDX name, a Creative Commons address, the
    public domain, or none where all rights are reserved. What is encrypted, damaged or too long goes to quarantine.
    """

    kind: Literal["epub"] = "epub"
    path: str | list[str]

    def partitions(self) -> list[Partition]:
        found = find(self.path, (".epub",), f"source {self.name!r}")
        chosen = sample({file.name: file.bytes for file in found}, self.limit)
        return [whole(file) for file in found if file.name in chosen]

    def read(self, partition: Partition) -> Iterator[Item | Unreadable]:
        piece = partition.payload
        try:
            with zips.opened(piece.path) as archive:
                yield from _chapters(archive, piece.name)
        except (*zips.DAMAGE, ElementTree.ParseError, KeyError) as error:
            yield Unreadable(piece.name, f"not an EPUB that can be read: {problem(error)}")
            return
        yield from changed(piece)


@dataclass
class _Book:
    """The package document of a book (EPUB 3.3, section 5)."""

    pages: list[str] = field(default_factory=list)
    about: dict[str, str] = field(default_factory=dict)
    language: str | None = None


def _chapters(archive: zipfile.ZipFile, name: str) -> Iterator[Item | Unreadable]:
    book = _book(archive)
    locked = _encrypted(archive)
    licence, evidence = stated(book.about.get("rights", ""), "dc:rights")
    members = {member.filename: member for member in archive.infolist()}
    for number, page in enumerate(book.pages, 1):
        where = f"{name}#{printable(page)}"
        if page not in members:
            yield Unreadable(where, "the book has no such file")
            continue
        if page in locked:
            yield Unreadable(where, "the chapter is encrypted")
            continue
        try:
            text, heading = convert(_decoded(zips.read(archive, members[page], CHAPTER)))
        except (*zips.DAMAGE, LookupError) as error:
            yield Unreadable(where, f"cannot be read: {problem(error)}")
            continue
        if text:
            about: dict[str, Any] = {key: value for key, value in book.about.items() if key != "title"}
            yield Item(
                where,
                text=text,
                title=book.about.get("title"),
                language=book.language,
                licence=licence,
                licence_evidence=evidence,
                meta={**about, "number": number, **({"chapter": heading} if heading else {})},
            )


def _book(archive: zipfile.ZipFile) -> _Book:
    container = _xml(archive, "META-INF/container.xml")
    root = next((node.get("full-path") for node in container.iter() if _name(node) == "rootfile"), None)
    if not root:
        raise ValueError("its container names no package")
    package = _xml(archive, root)
    book, files, order = _Book(), dict[str, tuple[str, str]](), list[str]()
    for node in package.iter():
        kind, text = _name(node), " ".join("".join(node.itertext()).split())[:2000]
        if kind == "item" and node.get("media-type") in _PAGES and node.get("id"):
            href = posixpath.normpath(posixpath.join(posixpath.dirname(root), unquote(node.get("href") or "")))
            files[str(node.get("id"))] = href, node.get("properties") or ""
        elif kind == "itemref":
            order.append(node.get("idref") or "")
        elif kind in ("title", "rights", "creator", "publisher", "date", "identifier", "source") and text:
            own = "author" if kind == "creator" else kind
            several = f"{book.about[own]}; {text}" if own in book.about and own == "author" else text
            book.about[own] = several if own == "author" else book.about.get(own, text)
        elif kind == "language" and text and book.language is None:
            book.language = text.lower().replace("_", "-").partition("-")[0]
    book.pages = [files[one][0] for one in order if one in files and "nav" not in files[one][1].split()][:CHAPTERS]
    if not book.pages:
        raise ValueError("its spine names no chapters")
    return book


def _encrypted(archive: zipfile.ZipFile) -> set[str]:
    if "META-INF/encryption.xml" not in archive.namelist():
        return set()
    nodes = _xml(archive, "META-INF/encryption.xml").iter()
    return {unquote(node.get("URI") or "") for node in nodes if _name(node) == "CipherReference"}


def _xml(archive: zipfile.ZipFile, name: str) -> ElementTree.Element:
    data = zips.read(archive, archive.getinfo(name), PACKAGE)
    if b"<!ENTITY" in data or b"<\0!\0E\0N\0T" in data or b"\0<\0!\0E\0N" in data:
        raise ValueError(f"{name} defines entities, which may grow without end")
    return ElementTree.fromstring(data)


def _name(node: ElementTree.Element) -> str:
    return node.tag.rpartition("}")[2] if isinstance(node.tag, str) else ""


def _decoded(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16")
    declared = _ENCODING.match(data)
    return data.decode(declared[1].decode() if declared else "utf-8").removeprefix("\ufeff")
