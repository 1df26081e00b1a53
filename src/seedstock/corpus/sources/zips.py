"""Members of zip archives, read one by one in bounded memory; nothing is unpacked to disk."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, cast

from seedstock.corpus.sources.base import Unreadable
from seedstock.corpus.sources.files import printable, problem
from seedstock.corpus.sources.streams import FREE, RATIO, raw

MEMBERS = 500_000  # of one archive
DAMAGE = (OSError, zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError)


def opened(path: str) -> zipfile.ZipFile:
    """The archive. Raises one of ``DAMAGE``."""
    archive = zipfile.ZipFile(cast(IO[bytes], raw(path)))
    if len(archive.infolist()) > MEMBERS:
        archive.close()
        raise ValueError(f"it has more than {MEMBERS} members")
    return archive


def read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limit: int) -> bytes:
    """The bytes of a member. Raises one of ``DAMAGE``, also where it is longer than ``limit``."""
    if member.flag_bits & 1:
        raise ValueError("it is encrypted")
    if member.file_size > limit:
        raise ValueError(f"longer than {limit} bytes")
    with archive.open(member) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"longer than {limit} bytes")
    return data


def members(
    path: str, name: str, limit: int, wanted: Callable[[str], bool] = lambda name: True
) -> Iterator[tuple[str, bytes] | Unreadable]:
    """(ARCHIVE/MEMBER, bytes) of every file that is wanted by its name, or what is wrong with it."""
    given = 0
    try:
        with opened(path) as archive:
            free = max(FREE, RATIO * sum(member.compress_size for member in archive.infolist()))
            for member in archive.infolist():
                where = f"{name}/{printable(member.filename)}"
                if member.is_dir() or not wanted(where):
                    continue
                if member.external_attr >> 28 == 0xA:
                    yield Unreadable(where, "not a plain file: a link")
                    continue
                try:
                    data = read(archive, member, limit)
                except DAMAGE as error:
                    yield Unreadable(where, f"cannot be read: {problem(error)}")
                    continue
                given += len(data)
                if given > free:  # members may share their bytes, so that each is small and all are huge
                    raise OSError(f"it grows more than {RATIO} times by decompression: that is no text")
                yield where, data
    except DAMAGE as error:
        yield Unreadable(name, f"the archive cannot be read: {problem(error)}")
