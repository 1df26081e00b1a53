"""A last look at a release before it is one: it must not name the machine that built it, or its owner's folders."""

from __future__ import annotations

import re
import socket
from pathlib import Path

from seedstock.errors import SeedstockError

TEXT = {".md", ".html", ".json", ".jsonl", ".yaml", ".txt"}
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
        if re.search(re.escape(place) + r"(?![\w.-])", text):
            return place
    host = socket.gethostname().partition(".")[0]
    if paper and len(host) > 3 and host != "localhost" and re.search(rf"(?<![\w-]){re.escape(host)}(?![\w-])", text):
        return host
    return None
