"""Files of a folder and members of tar archives, in groups that belong together: ``a.jpg``, ``a.txt``, ``a.json``.

The members of a group share their folder and their name up to its first dot, and follow one another (the habit of
webdataset). Nothing is unpacked to disk, so a member's name is no more than a name.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from seedstock.corpus.media.types import LONGEST
from seedstock.corpus.sources.base import Partition, Unreadable
from seedstock.corpus.sources.files import Found, find, problem, stem, stream
from seedstock.corpus.sources.ranges import Piece
from seedstock.ledger.ids import digest

CHUNK = 16 * 2**20  # bytes of files in one partition
GROUP = 64  # members of one group: more are no group but a folder of dotted names
_BROKEN = "the archive breaks off"
_TORN = f"{_BROKEN} within it"
_HEADER = 2**20  # bytes of a member's name or extended header
_DAMAGE = (OSError, tarfile.TarError, EOFError, ValueError, OverflowError)
_HEADERS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)


@dataclass(slots=True)
class Group:
    """What goes by one key: bytes by member name; ``record`` is what a table of captions says of it."""

    key: str
    members: dict[str, bytes] = field(default_factory=dict)
    record: dict[str, Any] | None = None


def key_of(name: str) -> str:
    """``train/a.b.jpg`` → ``train/a``."""
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.split(".")[0]


def suffix_of(name: str) -> str:
    """The last suffix, in small letters: ``.jpg``."""
    return PurePosixPath(name).suffix.lower()


def partitions(
    path: str | Sequence[str], suffixes: Sequence[str], where: str, records: dict[str, Any] | None = None
) -> list[Partition]:
    """Partitions of each tar archive, and one for each chunk of plain files; groups are not divided.

    ``records`` are those of a table of captions, by the file names that it gives.
    """
    from seedstock.corpus.sources import tar_pieces

    files, listed = list[Found](), list[Partition]()
    for file in find(path, (*suffixes, ".tar"), where):
        if stem(file.name).lower().endswith(".tar"):
            listed += [replace(part, payload=("tar", part.payload)) for part in tar_pieces.pieces(file)]
        else:
            files.append(file)
    chunk, size = list[Found](), 0
    for file in files:
        if chunk and size + file.bytes > CHUNK and key_of(file.name) != key_of(chunk[-1].name):
            listed.append(_chunk(chunk, size, records))
            chunk, size = [], 0
        chunk.append(file)
        size += file.bytes
    if chunk:
        listed.append(_chunk(chunk, size, records))
    return listed


def _chunk(files: list[Found], size: int, records: dict[str, Any] | None) -> Partition:
    own = None if records is None else {file.name: records.get(file.name) for file in files}
    mark = digest(
        [[file.name, file.fingerprint] for file in files] + ([json.dumps(own, sort_keys=True)] if own else [])
    )
    return Partition(files[0].name, mark, size, ("files", [(file.path, file.name) for file in files], own))


def groups(partition: Partition, limit: int = LONGEST) -> Iterator[Group | Unreadable]:
    """The groups of a partition; what could not be read of it stands in their place."""
    how, *payload = partition.payload
    if how == "tar":
        yield from _grouped(tar(payload[0], limit))
        return
    files, records = payload
    found = _files(files, limit)
    if records is None:
        yield from _grouped(found)
        return
    for entry in found:  # with a table, each file is on its own
        yield entry if isinstance(entry, Unreadable) else Group(entry[0], dict([entry]), records[entry[0]])


def _grouped(members: Iterator[tuple[str, bytes] | Unreadable]) -> Iterator[Group | Unreadable]:
    group: Group | None = None
    for member in members:
        if isinstance(member, Unreadable):
            torn = member.reason == _TORN
            if group is not None and member.reason.startswith(_BROKEN) and not torn:
                # Half of a group is no pair, and says nothing of what else it had.
                yield Unreadable(group.key, _TORN)
                group = None
            elif group is not None and (key_of(member.locator) != group.key or member.locator in group.members):
                yield group
                group = None
            if torn:
                group, member = None, Unreadable(key_of(member.locator), _TORN)
            yield member
            continue
        name, data = member
        if group is None or key_of(name) != group.key or len(group.members) >= GROUP or name in group.members:
            if group is not None:
                yield group
            group = Group(key_of(name))
        group.members[name] = data
    if group is not None:
        yield group


def _files(files: list[tuple[str, str]], limit: int) -> Iterator[tuple[str, bytes] | Unreadable]:
    for path, name in files:
        try:
            with stream(path) as file:
                data = file.read(limit + 1)
        except OSError as error:
            yield Unreadable(name, f"cannot be read: {problem(error)}")
            continue
        yield (name, data) if len(data) <= limit else Unreadable(name, f"longer than {limit} bytes")


class Header(tarfile.TarInfo):
    """A header that says when it is damaged, which the library takes for the archive's end; and is bounded."""

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> Any:
        try:
            found = super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError("there is no end mark" if not buf else str(error)) from None
        if found.size < 0 or (found.type in _HEADERS and found.size > _HEADER):
            raise tarfile.ReadError(f"a header of {found.size} bytes")
        return found


def tar(piece: Piece, limit: int) -> Iterator[tuple[str, bytes] | Unreadable]:
    """(name, bytes) of every plain member that begins in a piece of an archive, read in one pass."""
    last: int | None = None
    try:
        with (
            stream(piece.path, piece.seek) as file,
            tarfile.open(fileobj=file, mode="r|", tarinfo=Header, errors="surrogateescape") as archived,
        ):
            for member in archived:
                archived.members = []  # type: ignore[attr-defined] # the library keeps every header that it has seen
                if piece.end is not None and piece.start + member.offset >= piece.end:
                    return
                last = piece.start + member.offset
                name = f"{piece.name}/{printable(member.name.removeprefix('./'))}"
                if member.isdir() or hidden(member.name):
                    continue
                if not member.isreg() or member.sparse is not None:
                    yield Unreadable(name, "not a plain file: a link, a device or a sparse file")
                elif member.size > limit:
                    yield Unreadable(name, f"longer than {limit} bytes")
                else:
                    try:
                        data = archived.extractfile(member).read()  # type: ignore[union-attr]
                    except _DAMAGE:
                        yield Unreadable(name, _TORN)
                        raise
                    yield name, data
    except _DAMAGE as error:
        where = "at its beginning" if last is None else f"after the member at byte {last}"
        yield Unreadable(piece.name, f"{_BROKEN} {where}: {problem(error)}")


def hidden(name: str) -> bool:
    """Whether a member's name begins with a dot."""
    return PurePosixPath(name).name.startswith(".")


def printable(name: str) -> str:
    """A member's name as text: what is not UTF-8, and control characters, are escaped."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
