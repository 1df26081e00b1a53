"""Where compiled blocks are kept: a run that goes on, in a new process, takes them from there and compiles nothing.

The caches are those of torch's compiler (a graph of a block with its gradients, and the code made of it), in a place of
ours: torch's own is a temporary folder, which a container or a restart of the machine empties.
"""

from __future__ import annotations

import hashlib
import os
import platform
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

from seedstock.ledger.files import cache_folder

ROOM = 4 << 30
"""Bytes beyond which the files that were not used for the longest time are removed."""
SPARED = 24 * 3600.0
"""Seconds since its last use in which a file stays: somebody may be about to read it."""
NAME = "TORCHINDUCTOR_CACHE_DIR"


def folder() -> Path:
    """``$SEEDSTOCK_HOME/compiled`` (``~/.cache/seedstock/compiled``), and in it a folder for each kind of processor:
    code that was made for one may use instructions that another lacks, and torch's keys do not name it."""
    return cache_folder("compiled") / f"{platform.machine()}-{hashlib.sha256(_processor().encode()).hexdigest()[:12]}"


@cache
def keep() -> Path | None:
    """Has torch's compiler keep what it makes in ``folder()`` from now on, for as long as the process lives.

    Once a process, and before anything is compiled. Where ``TORCHINDUCTOR_CACHE_DIR`` is given, or the folder cannot
    be written, all stays as it is (None).
    """
    if NAME in os.environ and not _torchs_own(os.environ[NAME]):
        return None
    place = folder()
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    if not os.access(place, os.W_OK):
        return None
    bound(place)
    os.environ[NAME] = str(place)
    return place


def bound(place: Path, room: int = ROOM, spared: float = SPARED) -> None:
    """Removes files, those first that were not used for the longest time, until the rest fit into ``room`` bytes."""
    found = []
    for path in place.rglob("*"):
        with suppress(OSError):  # another process removes too
            if path.is_file():
                about = path.stat()
                found.append((max(about.st_atime, about.st_mtime), about.st_size, path))
    over, now = sum(size for _, size, _ in found) - room, time.time()
    for used, size, path in sorted(found):
        if over <= 0 or now - used < spared:
            return
        with suppress(OSError):
            path.unlink()
        over -= size


def _torchs_own(place: str) -> bool:
    """Whether torch set it, which it does as soon as a part of its compiler is loaded."""
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    return place == default_cache_dir()


def _processor() -> str:
    """Its name and its instructions, as Linux says them; elsewhere what Python knows."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
        return "\n".join(line for line in lines if line.startswith(("model name", "flags", "CPU part", "Features")))
    return platform.processor()
