"""A last look at a release before it is one: it must not name the machine that built it, or its owner's folders."""

from __future__ import annotations

import getpass
import platform
import re
import socket
from functools import cache
from importlib import metadata
from pathlib import Path

import seedstock
from seedstock.errors import SeedstockError

TEXT = {".md", ".html", ".json", ".jsonl", ".yaml", ".txt"}
WORDED = {".py", ".j2", ".yaml"}
_END = r"(?![\w-]|\.\w)"  # a path may end a sentence
VOCABULARY = {"tokenizer.json", "vocab.json", "merges.txt"}
"""Words that a tokenizer learnt from its training text are not this machine's names."""


def refuse(folder: Path, run_folder: Path) -> None:
    """Raises SeedstockError, naming the file, where a private path or this machine's name is in a release."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in TEXT and path.name not in VOCABULARY and path.is_file():
            found = find(path.read_text(encoding="utf-8", errors="replace"), run_folder, path.parent == folder)
            if found:
                raise SeedstockError(
                    f"it would make {found!r} public",
                    where=path.relative_to(folder),
                    fix="take it out of the recipe (release, sources), then release again",
                )


def find(text: str, run_folder: Path, paper: bool) -> str | None:
    """The first private path in a text, or (in a paper) this machine's name; None where there is none."""
    places = {Path.home(), run_folder.resolve().parent}
    for place in sorted(str(place) for place in places if len(place.parts) > 1):
        if re.search(re.escape(place) + _END, text):
            return place
    if (user := _user()) and (home := re.search(rf"/(home|Users)/{re.escape(user)}{_END}", text)):
        return home[0]
    host = socket.gethostname().partition(".")[0]
    if paper and telling(host) and re.search(rf"(?<![\w-]){re.escape(host)}(?![\w-])", text):
        return host
    return None


def telling(host: str) -> bool:
    """Whether a machine's name tells anything: services in containers go by such names as ``model`` and ``python``."""
    return len(host) > 3 and host.lower() not in _ordinary()


@cache
def _ordinary() -> frozenset[str]:
    """Words that any release may hold: Seedstock's own, those of the platform, and the names of packages."""
    own = Path(seedstock.__file__).parent
    texts = [path.read_text(encoding="utf-8") for path in sorted(own.rglob("*")) if path.suffix in WORDED]
    packages = [name for found in metadata.distributions() if (name := found.metadata["Name"])]
    return frozenset(re.findall(r"[\w-]+", "\n".join([*texts, *packages, platform.platform(), "localhost"]).lower()))


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return None
