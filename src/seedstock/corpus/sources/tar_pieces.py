"""A large tar archive in pieces, so that several workers read it: cut where a group of members begins.

The headers are walked once when the archive is listed (some 20 microseconds a member), and nothing else is read. Cut is
what is plain, on this machine, and has no header that is meant for all members after it.
"""

from __future__ import annotations

import tarfile

from seedstock.corpus.sources import ranges
from seedstock.corpus.sources.base import Partition
from seedstock.corpus.sources.files import Found
from seedstock.corpus.sources.members import Header, hidden, key_of
from seedstock.corpus.sources.ranges import Piece
from seedstock.corpus.sources.streams import compressed, is_url


def pieces(file: Found) -> list[Partition]:
    """Partitions of about ``ranges.SIZE`` bytes, each with a ``Piece``; one where the archive cannot be cut."""
    size = ranges.SIZE
    bounds = _bounds(file.path, size) if file.bytes > size and _can_be_cut(file.path) else [0]
    return [
        Partition(
            f"{file.name}@{start}" if start else file.name,
            file.fingerprint,
            (file.bytes if end is None else end) - start,
            Piece(file.path, file.name, file.stamp, start, start, end),
        )
        for start, end in zip(bounds, [*bounds[1:], None], strict=True)
    ]


def _can_be_cut(path: str) -> bool:
    return not compressed(path) and not is_url(path)


def _bounds(path: str, size: int) -> list[int]:
    """Where pieces begin: at a member whose group differs from that of the one before."""
    found, last = [0], ""
    try:
        with tarfile.open(path, "r:", tarinfo=Header, errors="surrogateescape") as archive:
            for member in archive:
                archive.members = []  # type: ignore[attr-defined] # the library keeps every header that it has seen
                if archive.pax_headers:
                    return [0]
                if member.isdir() or hidden(member.name):
                    continue
                if member.offset - found[-1] >= size and key_of(member.name) != last:
                    found.append(member.offset)
                last = key_of(member.name)
    except (OSError, tarfile.TarError, EOFError, ValueError, OverflowError):
        pass  # the reader of the last piece says what is wrong
    return found
