"""What cut-off commands left behind, and what can be counted again: either may hold words of any document."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

_BESIDE = re.compile(r"\.(.+)\.(\d+)\.(tmp|old)$")


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


def is_leftover(path: Path) -> bool:
    """Whether this is the temporary file of a process that is gone."""
    return bool(_BESIDE.fullmatch(path.name)) and not _alive(path)


def _alive(path: Path) -> bool:
    """Whether the process that writes a temporary file is still there."""
    match = _BESIDE.fullmatch(path.name)
    try:
        os.kill(int(match[2]) if match else 0, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
