"""The frames of a .zst file, found by walking over the headers of their blocks (RFC 8878), without decompression."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

_MAGIC, _SKIPPED, _SEEK_TABLE = 0xFD2FB528, 0x184D2A50, 0x8F92EAB1


def frames(file: Any, at: int = 0) -> Iterator[tuple[int, int | None]]:
    """(offset, size of the content or None) of each frame from ``at`` on. Raises OSError where the file breaks off."""
    size = file.size()
    while at < size:
        file.seek(at)
        head = file.read(18)
        if len(head) < 8:
            raise OSError("the compressed file ends before its end mark")
        (magic,) = struct.unpack_from("<I", head)
        if magic & 0xFFFFFFF0 == _SKIPPED:
            at += 8 + struct.unpack_from("<I", head, 4)[0]
            continue
        if magic != _MAGIC:
            raise OSError("what follows a frame is no frame")
        flags = head[4]
        single, checksum = flags & 0x20, flags & 4
        width = (1 if single else 0, 2, 4, 8)[flags >> 6]
        place = 5 + (0 if single else 1) + (0, 1, 2, 4)[flags & 3]
        plain = int.from_bytes(head[place : place + width], "little") + (256 if width == 2 else 0)
        yield at, plain if width else None
        at = _end(file, at + place + width, size) + (4 if checksum else 0)
        if at > size:
            raise OSError("the compressed file ends before its end mark")


def _end(file: Any, at: int, size: int) -> int:
    """Where the blocks end that begin at ``at``."""
    last = 0
    while not last and at < size:
        file.seek(at)
        block = int.from_bytes(file.read(3), "little")
        last, kind, length = block & 1, block >> 1 & 3, block >> 3
        if kind == 3:
            raise OSError("a block is of no known kind")
        at += 3 + (1 if kind == 1 else length)
    return at if last else size + 1


def members(file: Any, walk: bool) -> list[tuple[int, int]]:
    """(stored offset, content offset) of each frame; [] where one does not say how much it holds.

    ``walk`` allows many small reads; without it a file must be in the seekable format.
    """
    if found := _seek_table(file):
        return found
    content = 0
    try:
        for at, plain in frames(file) if walk else ():
            if plain is None:
                return []
            found.append((at, content))
            content += plain
    except OSError:
        return []  # its reader says what is wrong
    return found


def _seek_table(file: Any) -> list[tuple[int, int]]:
    """Frames by the table at the end of a seekable file (zstd, contrib/seekable_format)."""
    size = file.size()
    file.seek(max(0, size - 9))
    tail = file.read(9)
    if len(tail) < 9:
        return []
    count, flags, magic = struct.unpack("<IBI", tail)
    entry = 12 if flags & 0x80 else 8
    if magic != _SEEK_TABLE or count * entry + 17 > size:
        return []
    file.seek(size - 9 - count * entry)
    table = file.read(count * entry)
    found, stored, content = [], 0, 0
    for at in range(0, len(table), entry):
        found.append((stored, content))
        packed, plain = struct.unpack_from("<II", table, at)
        stored, content = stored + packed, content + plain
    return found
