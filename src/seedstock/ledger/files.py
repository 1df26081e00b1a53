"""Files that are either whole or not there: written beside, synced, renamed."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from seedstock.errors import SeedstockError

_FIXES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "make room"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO), "make it writable"),
    **dict.fromkeys((errno.ENOTDIR, errno.EEXIST), "a file stands where a folder belongs: move it, or name another"),
}


@contextlib.contextmanager
def plain_errors(path: Path) -> Iterator[None]:
    """Turns a full disk, a refused permission and their kin into one clear message that names ``path``."""
    try:
        yield
    except OSError as error:
        fix = _FIXES.get(error.errno or 0)
        if fix is None:
            raise
        raise SeedstockError(
            f"cannot write: {error.strerror}",
            where=path,
            fix=f"{fix}, then start the same command again; what was complete is kept",
        ) from error


def sync_folder(path: Path) -> None:
    """Makes renames inside a folder durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def atomic(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Opens a file that appears at ``path`` only when the block ends without an error, synced to disk."""
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with plain_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with beside.open(mode, encoding=None if "b" in mode else "utf-8") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
            sync_folder(path.parent)
        finally:
            beside.unlink(missing_ok=True)


_BESIDE = re.compile(r"\.(.+)\.(\d+)\.(tmp|old)$")


def is_leftover(path: Path) -> bool:
    """Whether this is the temporary file or folder (``.NAME.PID.tmp``) of a process that is gone."""
    if not (match := _BESIDE.fullmatch(path.name)):
        return False
    try:
        os.kill(int(match[2]), 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass
    return False


@contextlib.contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """A folder for work in progress beside ``path``, gone at the end; ``sweep`` removes it where its process died."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with plain_errors(path):
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        try:
            yield beside
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Removes what processes that are gone left in a folder."""
    for path in [path for path in folder.iterdir() if is_leftover(path)]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a whole file atomically."""
    with atomic(path) as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """Writes a whole UTF-8 file atomically."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Writes readable JSON atomically (sorted keys, so that equal values give equal bytes)."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def read_json(path: Path) -> Any:
    """Reads JSON, or says which file is missing or damaged."""
    from seedstock.errors import IntegrityError

    try:
        return json.loads(Path(path).read_bytes())
    except FileNotFoundError:
        raise IntegrityError("the file is missing", where=path, fix="build this stage again") from None
    except ValueError as error:
        raise IntegrityError(f"not readable as JSON: {error}", where=path, fix="build this stage again") from None


def cache_folder(name: str) -> Path:
    """``$SEEDSTOCK_HOME/name`` (``~/.cache/seedstock/name``): what is kept on a machine for later runs."""
    home = os.environ.get("SEEDSTOCK_HOME")
    return (Path(home) if home else Path.home() / ".cache" / "seedstock") / name


def sync_tree(folder: Path) -> None:
    """Syncs every file and folder below ``folder``."""
    for root, _, names in os.walk(folder):
        for name in names:
            handle = os.open(Path(root, name), os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        sync_folder(Path(root))


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A folder that appears at ``path`` only when the block ends without an error, synced; replaces an old one."""
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with plain_errors(path):
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        try:
            yield beside
            sync_tree(beside)
            if path.exists():
                old = path.with_name(f".{path.name}.{os.getpid()}.old")
                path.rename(old)
                beside.rename(path)
                shutil.rmtree(old, ignore_errors=True)
            else:
                beside.rename(path)
            sync_folder(path.parent)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
