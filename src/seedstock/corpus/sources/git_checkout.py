"""What a git checkout says of itself, read from its ``.git`` folder: commit, address, and which files are its own."""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path
from urllib.parse import urlsplit

_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?$")
_FORGES = {
    "github.com": "{base}/blob/{commit}/",
    "gitlab.com": "{base}/-/blob/{commit}/",
    "codeberg.org": "{base}/src/commit/{commit}/",
}
_FREE = 64 * 2**20  # bytes of an index that is read


def commit(root: Path) -> str | None:
    """The commit of HEAD, or None where there is none."""
    folder = _git(root)
    head = _line(folder / "HEAD")
    for _ in range(5):
        if _COMMIT.match(head):
            return head
        if not head.startswith("ref: "):
            return None
        name = head.removeprefix("ref: ").strip()
        if name.startswith("/") or ".." in name.split("/"):
            return None
        shared = _shared(folder)
        head = _line(folder / name) or _line(shared / name) or _packed(shared / "packed-refs", name)
    return None


def tracked(root: Path) -> set[str] | None:
    """The files of the index (versions 2 and 3), or None where there is no index that can be read.

    Source: git's documentation of its index format.
    """
    try:
        path = _git(root) / "index"
        data = path.read_bytes() if path.stat().st_size <= _FREE else b""
        magic, version, count = struct.unpack_from(">4sII", data)
        if magic != b"DIRC" or version not in (2, 3):
            return None
        wide = 32 if _sha256(root) else 20
        at, found = 12, set()
        for _ in range(count):
            (flags,) = struct.unpack_from(">H", data, at + 40 + wide)
            start = at + 42 + wide + (2 if flags & 0x4000 else 0)
            end = data.index(b"\0", start)
            found.add(os.fsdecode(data[start:end]))
            at += (end - at + 8) // 8 * 8
        return found
    except (OSError, struct.error, ValueError):
        return None


def address(root: Path, at: str | None) -> str | None:
    """Where the files of a commit can be looked at, to be followed by a path; None where the forge is not known."""
    try:
        text = (_shared(_git(root)) / "config").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(r'\[remote "origin"\][^\[]*?^\s*url\s*=\s*(\S+)', text, re.MULTILINE)
    if not found or at is None:
        return None
    url = re.sub(r"^(?:ssh://)?git@([^:/]+)[:/]", r"https://\1/", found[1])
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    pattern = _FORGES.get(parts.hostname or "")
    base = f"https://{parts.hostname}{parts.path.removesuffix('/').removesuffix('.git')}"  # no user, no password
    return pattern.format(base=base, commit=at) if pattern else None


def _git(root: Path) -> Path:
    """The .git folder; of a linked checkout it is a file that names it."""
    path = root / ".git"
    if path.is_file():
        named = _line(path).removeprefix("gitdir: ").strip()
        return (root / named) if named else path
    return path


def _shared(folder: Path) -> Path:
    common = _line(folder / "commondir").strip()
    return folder / common if common else folder


def _sha256(root: Path) -> bool:
    try:
        text = (_shared(_git(root)) / "config").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return re.search(r"(?i)objectformat\s*=\s*sha256", text) is not None


def _line(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.readline(4096).strip()
    except OSError:
        return ""


def _packed(path: Path, name: str) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return next((line.split()[0] for line in file if line.split()[1:] == [name]), "")
    except OSError:
        return ""
