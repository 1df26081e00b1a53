"""Paths in recipes, listings of files, and streams of plain and compressed files."""

from __future__ import annotations

import glob
import io
import os
import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from seedstock.errors import DataError
from seedstock.ledger.ids import sha256_file

if TYPE_CHECKING:
    import pyarrow as pa

COMPRESSED = (".gz", ".zst", ".bz2", ".lz4")
HASHED = 64 * 2**20  # bytes: a listing up to this size is told by its content, so that copies of it are the same input
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Found:
    """A file: its place on this machine, and its name below the path of the recipe, which is what gets recorded."""

    path: str
    name: str
    bytes: int
    fingerprint: str


def expand(path: str, where: str) -> Path:
    """``path`` with each ``${NAME}`` replaced by the environment variable. Raises DataError where one is not set."""

    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match[1])
        if not found:
            raise DataError(
                f"{path}: the environment variable {match[1]} is not set", where=where, fix=f"set {match[1]} to a path"
            )
        return found

    return Path(_VARIABLE.sub(value, path)).expanduser()


def find(paths: str | Sequence[str], suffixes: Sequence[str], where: str) -> list[Found]:
    """Every file of ``paths`` (files, folders, globs) in the order of the names; in folders, those with ``suffixes``.

    Hidden files are left out, links to folders are not followed. Raises DataError where a path holds nothing.
    """
    found: dict[str, Path] = {}
    seen: set[str] = set()
    given = [paths] if isinstance(paths, str) else list(paths)
    for text in given:
        path = expand(text, where)
        try:
            listed = list(_below(path, suffixes))
        except OSError as error:
            raise DataError(
                f"cannot be read: {error.strerror}", where=f"{where}: {path}", fix="see its rights"
            ) from error
        if not listed:
            kinds = f" that ends in {', '.join(suffixes)}" if path.is_dir() else ""
            what = f"there is no file{kinds}" if path.exists() else "there is no such file or folder"
            raise DataError(what, where=f"{where}: {path}", fix="mend the path in the recipe")
        for file, name in listed:
            place = os.path.abspath(file)  # noqa: PTH100 - a Path keeps "..", and to follow links would rename files
            if place not in seen:
                seen.add(place)
                found[_unique(place, name, found, where)] = file
    return _fingerprints([(path, name, path.stat()) for name, path in sorted(found.items())])


def _unique(place: str, name: str, taken: Container[str], where: str) -> str:
    """``name``, with as many of the folders above it as tell it apart: two folders may hold files of one name."""
    parts = Path(place).parts[1:]
    for first in range(len(parts) - len(Path(name).parts), -1, -1):
        # A name need not be text in the file system; in the records it must be.
        wanted = os.fsencode("/".join(parts[first:])).decode("utf-8", "backslashreplace")
        if wanted not in taken:
            return wanted
    raise DataError(
        f"two files go by the name {name}",
        where=f"{where}: {place}",
        fix="rename one of them, or give it its own source",
    )


def _below(path: Path, suffixes: Sequence[str]) -> Iterator[tuple[Path, str]]:
    if path.is_dir():
        for root, folders, names in os.walk(path, onerror=_raise):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                if not name.startswith(".") and stem(name).lower().endswith(tuple(suffixes)):
                    yield Path(root, name), Path(root, name).relative_to(path).as_posix()
    elif path.is_file():
        yield path, path.name
    else:
        # The fixed folders before the first wildcard belong to this machine, not to the name.
        fixed = Path(*(part for part in _before_wildcard(path.parts)))
        for match in sorted(glob.glob(str(path), recursive=True)):  # noqa: PTH207 - a Path cannot hold a rooted pattern
            if Path(match).is_file():
                yield Path(match), Path(match).relative_to(fixed).as_posix()


def _before_wildcard(parts: tuple[str, ...]) -> Iterator[str]:
    for part in parts[:-1]:
        if glob.has_magic(part):
            return
        yield part


def _raise(error: OSError) -> None:
    raise error


def _fingerprints(files: list[tuple[Path, str, os.stat_result]]) -> list[Found]:
    hashed = sum(stat.st_size for _, _, stat in files) <= HASHED
    return [
        Found(str(path), name, stat.st_size, content(path) if hashed else f"{stat.st_size}-{stat.st_mtime_ns}")
        for path, name, stat in files
    ]


def content(path: Path) -> str:
    """The digest of what a file holds, or why that cannot be known."""
    try:
        return sha256_file(path)
    except OSError as error:
        return f"unreadable: {error.strerror}"  # the reader says so again, in quarantine


def stem(name: str) -> str:
    """A file's name without the suffix of its compression."""
    return name[: -len(Path(name).suffix)] if name.lower().endswith(COMPRESSED) else name


def raw(path: str) -> pa.NativeFile:
    """A file as it is stored, opened by Arrow; its name need not be UTF-8."""
    import pyarrow as pa

    return pa.OSFile(os.fsencode(path))


def stream(path: str) -> IO[bytes]:
    """A byte stream of a file, decompressed by its suffix; reading raises OSError where the archive is damaged."""
    import pyarrow as pa

    opened = raw(path)
    if stem(path) != path:
        opened = pa.CompressedInputStream(opened, pa.Codec.detect(path.lower()).name)
    return cast(IO[bytes], io.BufferedReader(opened, buffer_size=1 << 16))  # a damaged end costs at most a buffer


def problem(error: Exception) -> str:
    """What went wrong while reading, in words and without the path."""
    return str(getattr(error, "strerror", None) or error).splitlines()[0]
