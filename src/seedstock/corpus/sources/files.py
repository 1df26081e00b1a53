"""Paths in recipes and listings of files, on this machine or in a store that fsspec knows."""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from seedstock.corpus.sources.streams import COMPRESSED, is_url, problem, raw, stem, stream
from seedstock.errors import DataError
from seedstock.ledger.ids import sha256_file

__all__ = ["COMPRESSED", "Found", "content", "expand", "find", "problem", "raw", "stem", "stream", "unchanged"]

HASHED = 64 * 2**20  # bytes: a listing up to this size is told by its content, so that copies of it are the same input
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Found:
    """A file: its place (a path or URL), and its name below the path of the recipe, which is what gets recorded.

    ``stamp`` changes when the file does (see ``unchanged``); ``fingerprint`` is the same for copies where it can be.
    """

    path: str
    name: str
    bytes: int
    fingerprint: str
    stamp: str


def expand(path: str, where: str) -> Path:
    """``path`` with each ``${NAME}`` replaced by the environment variable. Raises DataError where one is not set."""
    return Path(_expanded(path, where)).expanduser()


def _expanded(path: str, where: str) -> str:
    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match[1])
        if not found:
            raise DataError(
                f"{path}: the environment variable {match[1]} is not set", where=where, fix=f"set {match[1]} to a path"
            )
        return found

    return _VARIABLE.sub(value, path)


def find(paths: str | Sequence[str], suffixes: Sequence[str], where: str) -> list[Found]:
    """Every file of ``paths`` in the order of the names: files, folders (those with ``suffixes``), globs, URLs.

    Hidden files, pipes and devices are left out, links to folders are not followed. Raises DataError where a path holds
    nothing.
    """
    found: dict[str, Path] = {}
    stored: dict[str, Found] = {}
    seen: set[str] = set()
    taken: set[str] = set()
    for text in [paths] if isinstance(paths, str) else list(paths):
        if is_url(url := _expanded(text, where)):
            for file in _remote(url, suffixes, where):
                if file.path not in seen:
                    seen.add(file.path)
                    name = _unique(file.path.split("/"), file.name, taken, f"{where}: {file.name}")
                    stored[name] = file
                    taken.add(name)
            continue
        path = expand(text, where)
        try:
            listed = list(_below(path, suffixes))
        except OSError as error:
            raise DataError(
                f"cannot be read: {error.strerror}", where=f"{where}: {path}", fix="see its rights"
            ) from error
        if not listed:
            raise _nothing(str(path), path.exists(), path.is_dir(), suffixes, where)
        for file_, name in listed:
            place = os.path.abspath(file_)  # noqa: PTH100 - a Path keeps "..", and to follow links would rename files
            if place not in seen:
                seen.add(place)
                name = _unique(Path(place).parts[1:], name, taken, f"{where}: {place}")
                found[name] = file_
                taken.add(name)
    own = _fingerprints(found)
    others = [Found(file.path, name, file.bytes, file.fingerprint, file.stamp) for name, file in stored.items()]
    return sorted([*own, *others], key=lambda file: file.name)


def _remote(url: str, suffixes: Sequence[str], where: str) -> list[Found]:
    from seedstock.corpus.sources import remote

    listed, several = [], False
    for path, name, about in remote.below(url, where):
        several |= path != url
        hidden = any(part.startswith(".") for part in name.split("/"))
        folder = path != url and not glob.has_magic(url)
        if not hidden and (not folder or stem(name).lower().endswith(tuple(suffixes))):
            mark = remote.stamp(about)
            listed.append(Found(path, name, int(about.get("size") or 0), mark, mark))
    if not listed:
        raise _nothing(remote.public(url), several, several, suffixes, where)
    return listed


def _nothing(path: str, exists: bool, folder: bool, suffixes: Sequence[str], where: str) -> DataError:
    kinds = f" that ends in {', '.join(suffixes)}" if folder else ""
    what = f"there is no file{kinds}" if exists else "there is no such file or folder"
    return DataError(what, where=f"{where}: {path}", fix="mend the path in the recipe")


def _unique(parts: Sequence[str], name: str, taken: Container[str], where: str) -> str:
    """``name``, with as many of the folders above it as tell it apart: two folders may hold files of one name."""
    for first in range(len(parts) - len(name.split("/")), -1, -1):
        wanted = printable("/".join(parts[first:]))
        if wanted not in taken:
            return wanted
    raise DataError(
        f"two files go by the name {name}", where=where, fix="rename one of them, or give it its own source"
    )


def printable(name: str) -> str:
    """A file's name as text of one line: what is not UTF-8, and control characters, are escaped."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _below(path: Path, suffixes: Sequence[str]) -> Iterator[tuple[Path, str]]:
    if path.is_dir():
        for root, folders, names in os.walk(path, onerror=_raise):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                wanted = not name.startswith(".") and stem(name).lower().endswith(tuple(suffixes))
                if wanted and not _is_special(Path(root, name)):
                    yield Path(root, name), Path(root, name).relative_to(path).as_posix()
    elif path.is_file():
        yield path, path.name
    else:
        # The fixed folders before the first wildcard belong to this machine, not to the name.
        fixed = Path(*(part for part in _before_wildcard(path.parts)))
        for match in sorted(glob.glob(str(path), recursive=True)):  # noqa: PTH207 - a Path cannot hold a rooted pattern
            if Path(match).is_file():
                yield Path(match), Path(match).relative_to(fixed).as_posix()


def _is_special(path: Path) -> bool:
    """Whether it is a pipe, a socket or a device, which may have no end; a link to nowhere is none of these."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def _before_wildcard(parts: tuple[str, ...]) -> Iterator[str]:
    for part in parts[:-1]:
        if glob.has_magic(part):
            return
        yield part


def _raise(error: OSError) -> None:
    raise error


def _fingerprints(files: dict[str, Path]) -> list[Found]:
    """The listing of files by name; one that is gone, or a link to nowhere, is listed for its reader to name."""
    known: dict[str, os.stat_result | str] = {}
    for name, path in files.items():
        try:
            known[name] = path.stat()
        except OSError as error:
            known[name] = f"unreadable: {error.strerror}"
    hashed = sum(about.st_size for about in known.values() if not isinstance(about, str)) <= HASHED
    listed = []
    for name, about in known.items():
        path = files[name]
        if isinstance(about, str):
            listed.append(Found(str(path), name, 0, about, about))
        else:
            mark = content(path) if hashed else _stamp(about)
            listed.append(Found(str(path), name, about.st_size, mark, _stamp(about)))
    return listed


def _stamp(about: os.stat_result) -> str:
    return f"{about.st_size}-{about.st_mtime_ns}"


def unchanged(path: str, stamp: str) -> bool:
    """Whether a file is still what was listed, by its size, time and whatever marks its store gives."""
    try:
        if is_url(path):
            from seedstock.corpus.sources import remote

            return remote.stamp_now(path) == stamp
        return _stamp(os.stat(path)) == stamp  # noqa: PTH116 - names of the file system need no Path
    except OSError:
        return False


def content(path: Path) -> str:
    """The digest of what a file holds, or why that cannot be known."""
    try:
        return sha256_file(path)
    except OSError as error:
        return f"unreadable: {error.strerror}"  # the reader says so again, in quarantine
