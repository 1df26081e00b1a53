"""Files that a signal names (lists, robots.txt of hosts): their digest becomes part of the signal's configuration."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from typing import Any

from seedstock.errors import SeedstockError

LISTS = (".txt", ".csv", ".list", ".domains", ".urls")
HOSTS = (".jsonl", ".ndjson", ".json", ".warc")


def recorded(values: Any, field: str, suffixes: Sequence[str], where: str) -> Any:
    """``values`` of a configuration with ``sha256`` filled in from the files that ``field`` names.

    Raises ValueError where they cannot be read, or where another digest is on record.
    """
    if not isinstance(values, dict) or not (paths := values.get(field)):
        return values
    try:
        found = digest(tuple([paths] if isinstance(paths, str) else paths), tuple(suffixes), where)
    except (SeedstockError, OSError) as error:
        raise ValueError(str(error)) from error
    known = values.get("sha256")
    if known not in (None, found):
        raise ValueError(
            f"{paths} has changed: its SHA-256 begins with {found[:12]}, on record is {str(known)[:12]}; "
            "put the old file back, or take sha256 out of the recipe"
        )
    return {**values, "sha256": found}


def digest(paths: Sequence[str], suffixes: Sequence[str], where: str) -> str:
    """The SHA-256 of one file's content, or of those of several with their names. Raises DataError."""
    from seedstock.corpus.sources.files import find

    files = find(list(paths), suffixes, where)
    sums = [(file.name, _sha256(file.path, file.fingerprint)) for file in files]
    return sums[0][1] if len(sums) == 1 else hashlib.sha256(repr(sums).encode()).hexdigest()


@cache
def _sha256(path: str, fingerprint: str) -> str:
    """Of what the file holds once it is decompressed; ``fingerprint`` tells when to look again."""
    from seedstock.corpus.sources.files import stream

    found = hashlib.sha256()
    with stream(path) as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()
