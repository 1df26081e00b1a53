"""The files of this Python installation that are worth reading, listed quickly: this runs before every run.

What is left out, and why:

- folders of tests: mostly fixtures and numbers;
- vendored copies of other projects: their licence is not the one that the distribution declares;
- files of an editable installation, start-up hooks and ``_sysconfigdata``: they hold paths of this machine;
- distributions without a release behind them (editable ones, and Seedstock itself);
- files outside the packages' own folder (scripts, manual pages), licence files, build instructions, empty files.
"""

from __future__ import annotations

import csv
import json
import os
import platform
import re
import sysconfig
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from seedstock.corpus.sources.files import content

STDLIB = "python"
SUFFIXES = {".py": "code", ".md": "docs", ".rst": "docs", ".txt": "docs"}
DESCRIPTIONS = ("METADATA", "PKG-INFO")
_LEFT_OUT = re.compile(
    r"(^|/)(tests?|testing|idle_test|_?vendor|_?vendored|site-packages|dist-packages|__pycache__"
    r"|[^/]*\.(dist|egg)-info)/"
    r"|(^|/)(__editable__|_sysconfigdata|sitecustomize|usercustomize|_virtualenv)[^/]*$"
    r"|(^|/)(CMakeLists|requirements[^/]*|constraints[^/]*)\.txt$"
    r"|(^|/)\.\.(/|$)|^/"
)
_LICENCE_FILE = re.compile(r"(^|/)(un)?(licen[cs]e|copying)[^/]*(?<!\.py)(?<!\.pyc)$", re.IGNORECASE)


class File(NamedTuple):
    """A file of a package: ``path`` below the packages' folder, and ``content``, which changes when it does.

    ``licensed`` is the folder below the package's own whose licence file covers it, or empty.
    """

    path: str
    bytes: int
    content: str
    licensed: str = ""


def packages() -> Iterator[tuple[str, str, list[File]]]:
    """(name, place, files): the standard library in its folder, then each distribution by its metadata folder."""
    yield STDLIB, sysconfig.get_path("stdlib"), _library_files()
    seen = {"seedstock"}
    for found in metadata.distributions():
        name = normal(found.metadata["Name"] or "")
        if name and name not in seen:
            seen.add(name)
            if not _editable(found):
                yield name, str(found._path), _distribution_files(found)  # type: ignore[attr-defined]


def normal(name: str) -> str:
    """A distribution's name in the spelling of PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence_text(found: metadata.Distribution) -> str:
    """The licence files of a distribution, joined."""
    texts = []
    for path in sorted(str(path) for path in found.files or [] if _LICENCE_FILE.search(str(path))):
        try:
            with open(str(found.locate_file(path)), encoding="utf-8", errors="replace") as file:  # noqa: PTH123
                texts.append(file.read())
        except OSError:
            continue
    return "\n".join(texts)


def _library_files() -> list[File]:
    """The standard library's files by their content: no record of it lies beside them."""
    root = sysconfig.get_path("stdlib")
    files = []
    for folder, folders, names in os.walk(root):
        below = folder[len(root) + 1 :].replace(os.sep, "/")
        folders[:] = [name for name in folders if not _LEFT_OUT.search(f"{name}/")]
        for name in names:
            path = f"{below}/{name}" if below else name
            if path.endswith(".py") and not _LEFT_OUT.search(path) and (size := _size(f"{folder}/{name}")):
                files.append(File(path, size, f"{platform.python_version()}-{content(Path(folder, name))}"))
    return files


def _distribution_files(found: metadata.Distribution) -> list[File]:
    """A distribution's files by its installation record, which has their digests."""
    parent, _, own = str(found._path).rpartition("/")  # type: ignore[attr-defined] # no public way to its place
    record = found.read_text("RECORD")
    rows = list(csv.reader(record.splitlines()) if record else ([str(path), ""] for path in found.files or []))
    # A licence file in the package's own folder is the distribution's; deeper ones speak for their folder.
    licensed = {
        folder for path, *_ in rows if _LICENCE_FILE.search(path) and "/" in (folder := path.rpartition("/")[0])
    }
    files = []
    for path, digest, *_ in rows:
        if path.startswith(f"{own}/"):
            wanted = path.removeprefix(f"{own}/") in DESCRIPTIONS
        else:
            wanted = path.endswith(tuple(SUFFIXES)) and not (_LEFT_OUT.search(path) or _LICENCE_FILE.search(path))
        if wanted and (size := _size(f"{parent}/{path}")):
            files.append(File(path, size, f"{digest}-{size}", _covering(path, licensed)))
    return files


def _covering(path: str, licensed: set[str]) -> str:
    """The nearest folder of ``licensed`` that a path lies in, or ""."""
    folder = path.rpartition("/")[0]
    while folder and folder not in licensed:
        folder = folder.rpartition("/")[0]
    return folder


def _size(path: str) -> int:
    """Bytes of a file; 1 where it is listed but gone, so that reading it says so."""
    try:
        return os.stat(path).st_size  # noqa: PTH116 - a Path for each of forty thousand files is slow
    except OSError:
        return 1


def _editable(found: metadata.Distribution) -> bool:
    """Whether a distribution is installed as a link to a working folder (PEP 610)."""
    try:
        direct = json.loads(found.read_text("direct_url.json") or "{}")
    except ValueError:
        return False
    return bool(direct.get("dir_info", {}).get("editable"))
