"""What cut-off commands left behind, and what can be counted again: either may hold words of any document."""

from __future__ import annotations

import shutil
from pathlib import Path

from seedstock.ledger.files import is_leftover

__all__ = ["is_leftover", "remove"]


def remove(runs: Path) -> list[str]:
    """Removes them and returns their names. To be called only while nobody builds (``journal.alone``)."""
    found = sorted((runs / ".store").glob("*/*.partial"))
    found += sorted(path for path in runs.rglob(".*") if is_leftover(path))
    found += [path for path in [runs / ".store" / "words"] if path.is_dir()]  # counts of words, for tokenizers
    for path in found:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return [path.relative_to(runs).as_posix() for path in found]
