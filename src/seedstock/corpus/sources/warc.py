"""WARC files (ISO 28500): crawled pages and their extracted texts (WET), one document a record."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from seedstock.corpus.rights.heard import Heard, is_host_file
from seedstock.corpus.sources.base import LONGEST, Item, Partition, Source, Unreadable, needs, share
from seedstock.corpus.sources.files import Found, find, problem
from seedstock.corpus.sources.ranges import SIZE, Piece, changed, whole
from seedstock.corpus.sources.streams import compressed, raw
from seedstock.corpus.sources.webpage import RIGHTS, TYPES, decoded, page

_GZIP, _PLAIN = b"\x1f\x8b\x08", b"\r\n\r\nWARC/1."
_LENGTH = re.compile(rb"(?i)\r\ncontent-length:[ \t]*(\d{1,15})[ \t]*\r\n")
_STEP = 1 << 20


def known_types(types: tuple[str, ...]) -> tuple[str, ...]:
    """MIME types in small letters, or ValueError for one that is not read as text."""
    for name in types:
        if name.lower() not in TYPES:
            raise ValueError(f"{name!r} is not read from the web; known: {', '.join(TYPES)}")
    return tuple(name.lower() for name in types)


Types = Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(known_types)]


class Warc(Source):
    """WARC and WET files, plain or compressed (.gz, .zst, .lz4): a file, a folder, a glob, a URL, or a list of these.

    A document is a ``response`` of an HTTP ``status`` and of one of ``content_types``, a ``resource``, or a
    ``conversion``; its locator is ``FILE@OFFSET``, the offset as stored, as in a CDX index. A record that is clipped,
    damaged or longer than 64 MiB goes to quarantine, and reading goes on with the next. A large plain or .gz file
    is read in pieces. The meta holds the date, the type, and those headers that speak of rights; no addresses of
    machines. robots.txt, tdmrep.json and ai.txt are no documents: what they say of the pages that come after them in
    the file (in the same piece of it) is in the meta of these, as ``host``.
    """

    version: ClassVar[int] = 2

    kind: Literal["warc"] = "warc"
    path: str | list[str]
    status: tuple[int, ...] = (200,)
    content_types: Types = TYPES

    def partitions(self) -> list[Partition]:
        found = find(self.path, (".warc", ".wet"), f"source {self.name!r}")
        return share([part for file in found for part in _cut(file)], self.limit)

    def read(self, partition: Partition) -> Iterator[Item | Unreadable]:
        warc = needs("fastwarc.warc", "fastwarc, which reads WARC files,", "web")
        piece = partition.payload
        try:
            with io.BufferedReader(raw(piece.path), _STEP) as file, raw(piece.path) as beside:
                yield from records(file, beside, piece, self, warc)
        except OSError as error:
            yield Unreadable(f"{piece.name}@{piece.start}", f"the file cannot be read: {problem(error)}")
            return
        yield from changed(piece)


def _cut(file: Found) -> list[Partition]:
    """A plain or .gz file in pieces, each of which begins with the first record in it; others as they are."""
    if compressed(file.path) not in ("", ".gz") or file.bytes <= SIZE:
        return [whole(file)]
    starts = range(0, file.bytes, SIZE)
    return [
        Partition(
            f"{file.name}@{start}" if start else file.name,
            file.fingerprint,
            min(SIZE, file.bytes - start),
            Piece(file.path, file.name, file.stamp, start, start, start + SIZE),
        )
        for start in starts
    ]


def records(file: Any, beside: Any, piece: Piece, source: Any, warc: Any, base: int = 0) -> Iterator[Item | Unreadable]:
    """The documents of the records that begin in a piece of a file; ``beside`` is the same file, opened by Arrow.

    ``source`` says which: ``status`` and ``content_types``. ``base`` is where the file begins in a larger one.
    """
    suffix = compressed(piece.path)
    at: int | None = piece.start
    size = file.seek(0, io.SEEK_END)
    kinds = warc.WarcRecordType
    heard = Heard()
    wanted = kinds.response | kinds.resource | kinds.conversion | kinds.unknown | kinds.no_type
    if at:
        at = _next_member(file, at, piece.end) if suffix else _next_record(file, at, piece.end)
    damage: Unreadable | None = None  # told unless what is found after it tells of the same
    while at is not None:
        file.seek(at)
        last, skip = at, at + 1
        try:
            archive = warc.ArchiveIterator(file, record_types=wanted, parse_http=False)
            for place, record in _placed(archive, beside if suffix == ".gz" else None):
                last, skip = place[0], place[0] + 1
                if piece.end is not None and last >= piece.end:
                    break
                length = record.content_length
                where = f"{piece.name}@{base + last}" + (f".{place[1]}" if place[1] else "")
                document = _document(record, source, where, warc, heard)
                if not suffix and last + length < size:
                    skip = last + length
                if damage is not None and not (last == at and isinstance(document, Unreadable)):
                    yield damage
                damage = None
                if document is not None:
                    yield document
                if isinstance(document, Unreadable):
                    at = _after(file, skip, piece.end, suffix)  # its end cannot be trusted, unless it lies in the file
                    break
            else:
                at = None
            if piece.end is not None and last >= piece.end:
                at = None
        except BaseException as error:  # the library's panics are no Exceptions
            if not isinstance(error, OSError | ValueError) and type(error).__name__ != "PanicException":
                raise
            where = f"{piece.name}@{base + last}"
            damage = Unreadable(where, f"damaged after the record that begins here: {problem(error)}")
            at = _after(file, last + 1, piece.end, suffix)
    if damage is not None:
        yield damage


def _placed(found: Any, stored: Any) -> Iterator[tuple[tuple[int, int], Any]]:
    """Each record with its offset, and its number among those of one gzip member, of which alone offsets are known."""
    last, count = -1, 0
    for record in found:
        if record.stream_pos == last or (stored is not None and last >= 0 and not _begins(stored, record.stream_pos)):
            count += 1
        else:
            last, count = record.stream_pos, 0
        yield (last, count), record


def _begins(stored: Any, at: int) -> bool:
    return stored.read_at(len(_GZIP), at) == _GZIP


def _document(record: Any, source: Any, where: str, warc: Any, heard: Heard) -> Item | Unreadable | None:
    kinds = warc.WarcRecordType
    if record.record_type in (kinds.unknown, kinds.no_type):
        name = record.headers.get("WARC-Type") or ""
        return None if name.isalpha() else Unreadable(where, "the record has no type: its header is damaged")
    length = record.content_length
    answers = record.record_type == kinds.response and not record.is_http
    if not record.headers.get("Content-Length") or (answers and not record.headers.get("Content-Type")):
        return Unreadable(where, "the record's header is incomplete")
    if length > LONGEST:
        return Unreadable(where, f"the record is said to be of {length} bytes, more than {LONGEST}")
    try:
        record.freeze()
        if record.content_length < length:
            return Unreadable(where, f"the record is clipped: {record.content_length} of {length} bytes")
        return _page(record, source, where, heard)
    except (OSError, ValueError) as error:
        # The record as a whole is sound: what follows it can be found.
        return Unreadable(where, f"the answer cannot be decoded: {problem(error)}")


def _page(record: Any, source: Any, where: str, heard: Heard) -> Item | Unreadable | None:
    headers = {name.lower(): value for name, value in record.headers.items()}
    meta: dict[str, Any] = {"date": headers.get("warc-date"), "record": headers.get("warc-record-id", "").strip("<>")}
    answer: dict[str, str] = {}
    kind, charset = (headers.get("content-type") or "text/plain").partition(";")[0].strip().lower(), None
    if record.is_http:
        record.parse_http(auto_decode="none", quirks_mode=True)
        if record.http_headers is None or record.http_headers.status_code is None:
            return Unreadable(where, "the answer has no HTTP status")
        if record.http_headers.status_code not in source.status:
            return None
        answer = _joined(record.http_headers.items())
        kind, charset = (record.http_content_type or "").lower(), record.http_charset
    url = headers.get("warc-target-uri", "").strip("<>") or None
    host_file = record.is_http and record.http_headers.status_code == 200 and is_host_file(url)
    if kind not in source.content_types and not host_file:
        return None
    body = record.reader.read(min(LONGEST, record.content_length) + 1)  # as much room is taken as is asked for
    body = decoded(body, answer, LONGEST)
    if host_file:
        heard.take(url, body)
        return None
    if len(body) > LONGEST:
        return Unreadable(where, f"the answer is longer than {LONGEST} bytes")
    if headers.get("warc-truncated"):
        meta["truncated"] = headers["warc-truncated"]
    if languages := headers.get("warc-identified-content-language"):
        meta["identified_language"] = languages
    if about := heard.about(url):
        meta["host"] = about
    return page(where, body, url, kind, charset, answer, {name: value for name, value in meta.items() if value})


def _joined(pairs: Any) -> dict[str, str]:
    """Headers by their names in small letters; those that come several times are joined (RFC 9110, 5.3)."""
    found: dict[str, str] = {}
    for name, value in pairs:
        name = name.lower()
        found[name] = f"{found[name]}, {value}" if name in found and name in RIGHTS else value
    return found


def _after(file: Any, start: int, end: int | None, suffix: str) -> int | None:
    """Where the next record begins after one that is broken, or None."""
    if suffix == ".gz":
        return _next_member(file, start, end)
    return _next_plain(file, start) if not suffix else None


def _next_member(file: Any, start: int, end: int | None) -> int | None:
    """The first gzip member from ``start`` on, and before ``end``, that begins with a WARC record."""
    for at in _occurrences(file, _GZIP, start, end):
        file.seek(at)
        try:
            head = zlib.decompressobj(31).decompress(file.read(1 << 14), 64)
        except zlib.error:
            continue
        if head.startswith(b"WARC/"):
            return at
    return None


def _next_record(file: Any, start: int, end: int | None) -> int | None:
    """The first record of a plain file from ``start`` on, and before ``end``; not one of a WARC file that is a page."""
    for at in _occurrences(file, _PLAIN, max(0, start - 4), None if end is None else end - 4):
        if not _inside(file, at + 4):
            return at + 4
    return None


def _inside(file: Any, at: int) -> bool:
    """Whether what looks like a record lies in another one's content: the records after it then end where that one
    ends, an empty line before the next. Looked at are as many bytes as a record may have."""
    last = at + LONGEST
    while at < last:
        file.seek(at)
        head = file.read(1 << 12)
        if head.startswith(_PLAIN) or head == b"\r\n\r\n":
            return True
        length = _LENGTH.search(head[: head.find(b"\r\n\r\n") + 2])
        if not head.startswith(b"WARC/1.") or length is None:
            return False  # the file's end, or damage, which is the reader's to name
        at += head.find(b"\r\n\r\n") + 4 + int(length[1]) + 4
    return False


def _next_plain(file: Any, start: int) -> int | None:
    return next((at + 4 for at in _occurrences(file, _PLAIN, start, None)), None)


def _occurrences(file: Any, wanted: bytes, start: int, end: int | None) -> Iterator[int]:
    at = start
    while end is None or at < end:
        file.seek(at)
        chunk = file.read(_STEP)
        found = chunk.find(wanted)
        while found >= 0:
            if end is not None and at + found >= end:
                return
            yield at + found
            found = chunk.find(wanted, found + 1)
        if len(chunk) < _STEP:
            return
        at += len(chunk) - len(wanted) + 1
