"""Pieces of files: how a large one is cut, so that several workers read it, and what is read of each piece.

A cut falls at a line boundary: a line belongs to the piece in which the byte before it lies, and the first line of a
file to the first piece. So each line is read once, whatever the cuts, and is named by its offset in the file's content.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import IO, Any

from seedstock.corpus.sources import zstd_frames
from seedstock.corpus.sources.base import LONGEST, Partition, Unreadable
from seedstock.corpus.sources.files import Found, problem, unchanged
from seedstock.corpus.sources.streams import BUFFER, compressed, is_url, raw, stream

SIZE = 64 * 2**20  # bytes of a piece


@dataclass(frozen=True, slots=True)
class Piece:
    """``start`` to ``end`` (None: to the end) of a file's content; ``seek`` is where ``start`` lies as it is stored."""

    path: str
    name: str
    stamp: str
    seek: int = 0
    start: int = 0
    end: int | None = None


def whole(file: Found) -> Partition:
    """A file as one partition."""
    return Partition(file.name, file.fingerprint, file.bytes, Piece(file.path, file.name, file.stamp))


def cut(file: Found, size: int | None = None) -> list[Partition]:
    """A file in pieces of about ``size`` stored bytes, where it is plain or a compressed file that says how it is made.

    Those are .zst files of several frames that state their size, and .gz files of blocks (BGZF).
    """
    size = size or SIZE
    if file.bytes <= size:
        return [whole(file)]
    if not compressed(file.path):
        bounds = [(at, at) for at in range(0, file.bytes, size)]
    else:
        bounds = _spaced(members(file.path), size)
    ends: list[int | None] = [start for _, start in bounds[1:]]
    stored = [at for at, _ in bounds] + [file.bytes]
    return [
        Partition(
            f"{file.name}@{start}" if start else file.name,
            file.fingerprint,
            after - seek,
            Piece(file.path, file.name, file.stamp, seek, start, end),
        )
        for (seek, start), end, (_, after) in zip(bounds, [*ends, None], pairwise(stored), strict=True)
    ]


def _spaced(found: list[tuple[int, int]], size: int) -> list[tuple[int, int]]:
    """Members at least ``size`` stored bytes apart."""
    kept = [(0, 0)]
    for seek, start in found:
        if seek - kept[-1][0] >= size:
            kept.append((seek, start))
    return kept


def records(piece: Piece, separator: bytes = b"\n") -> Iterator[tuple[int, bytes | None] | Unreadable]:
    """(offset, bytes) of each record of a piece, without its separator; None for one that is longer than ``LONGEST``.

    At most about ``LONGEST`` bytes are held. ``separator`` is one byte where the file was cut. A file that breaks
    off, or changes meanwhile, gives an Unreadable as the last of all.
    """
    offset = piece.start
    try:
        with stream(piece.path, piece.seek) as file:
            for offset, record in _records(file, piece, separator):
                yield offset, record
    except OSError as error:
        yield Unreadable(f"{piece.name}@{offset}", f"the file breaks off after this: {problem(error)}")
        return
    yield from changed(piece)


def content(piece: Piece) -> bytes | Unreadable:
    """All that a file holds, which is at most ``LONGEST`` bytes."""
    try:
        with stream(piece.path) as file:
            held = file.read(LONGEST + 1)
    except OSError as error:
        return Unreadable(piece.name, f"cannot be read: {problem(error)}")
    if len(held) > LONGEST:
        return Unreadable(piece.name, f"longer than {LONGEST} bytes; cut it into documents, or make it JSON lines")
    return held


def changed(piece: Piece) -> Iterator[Unreadable]:
    """Says so where a file is no longer what was listed."""
    if not unchanged(piece.path, piece.stamp):
        yield Unreadable(
            piece.name, "the file changed while it was read: what was read of it may be neither old nor new"
        )


def _records(file: IO[bytes], piece: Piece, separator: bytes) -> Iterator[tuple[int, bytes | None]]:
    at, rest, long = piece.start, bytearray(), False
    begun = piece.start == 0  # whether the first separator of a later piece was passed
    while piece.end is None or at <= piece.end:
        chunk = file.read1(BUFFER)  # type: ignore[attr-defined] # one read: what came before damage is not lost
        if not chunk:
            if begun and not long and rest:
                yield at, bytes(rest)
            return
        looked = max(0, len(rest) - len(separator) + 1)
        rest += chunk
        if rest.find(separator, looked) >= 0:
            *found, last = bytes(rest).split(separator)
            rest = bytearray(last)
            for record in found:
                if piece.end is not None and at > piece.end:
                    return
                if begun and not long:
                    yield (at, record) if len(record) <= LONGEST else (at, None)
                at += len(record) + len(separator)
                begun, long = True, False
        if not begun or long or len(rest) > LONGEST:
            if begun and not long and (piece.end is None or at <= piece.end):
                yield at, None
                long = True
            # What is dropped may end in the first half of a separator.
            gone = max(0, len(rest) - len(separator) + 1)
            at += gone
            del rest[:gone]


def members(path: str) -> list[tuple[int, int]]:
    """(stored offset, content offset) of the independent members of a compressed file; [(0, 0)] where it has one.

    Raises nothing: a damaged file is one member, and its reader says what is wrong.
    """
    try:
        with raw(path) as file:
            kind = compressed(path)
            if kind == ".zst":
                return zstd_frames.members(file, walk=not is_url(path)) or [(0, 0)]
            return (_blocks(file) if kind == ".gz" else []) or [(0, 0)]
    except (OSError, struct.error, IndexError):
        return [(0, 0)]


def _blocks(file: Any) -> list[tuple[int, int]]:
    """Blocks of a BGZF file, which state their stored size in the header and that of their content at the end."""
    found, at, content, size = [], 0, 0, file.size()
    while at < size:
        file.seek(at)
        head = file.read(18)
        if len(head) < 18 or head[:4] != b"\x1f\x8b\x08\x04" or head[12:16] != b"BC\x02\x00":
            return []
        found.append((at, content))
        at += struct.unpack_from("<H", head, 16)[0] + 1
        file.seek(at - 4)
        content += struct.unpack("<I", file.read(4))[0]
    return found
