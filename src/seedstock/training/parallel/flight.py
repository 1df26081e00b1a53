"""A flight recorder of what processes exchange (torch's): the last of it is written down where one is lost or hangs.

``gloo-N.txt`` is process N's last exchanges over gloo, one a line. ``nccl_rank_N`` is torch's own format, for its tool
``torchfrtrace``: written here where the loss is found out in Python, and by torch's watchdog where a wait for NCCL runs
out of time, which ends the process.
"""

from __future__ import annotations

import os
import pickle
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import torch

ENTRIES = 2000
"""Exchanges of a process that are kept."""
SHOWN = 100
"""Those of them that are written as text."""
PATIENCE = 5.0
"""Seconds that writing may take: a device that hangs may hold it up."""


@contextmanager
def recorded(folder: Path | None, rank: int) -> Iterator[None]:
    """Inside, groups that are formed keep a record of their exchanges; what an earlier attempt left in the folder is
    gone. What is set in the environment already stays as it is."""
    if folder is None:
        yield
        return
    if rank == 0:  # the others write nothing before they have met this one
        shutil.rmtree(folder, ignore_errors=True)
    given = {name: value for names, value in _settings(folder).items() if not _set(*names) for name in names[:1]}
    if "TORCH_FR_DUMP_TEMP_FILE" in given:
        folder.mkdir(parents=True, exist_ok=True)  # torch's watchdog makes none
    os.environ.update(given)
    try:
        yield
    finally:
        for name in given:
            os.environ.pop(name, None)
        with suppress(OSError):
            folder.rmdir()  # where nothing was written


def _settings(folder: Path) -> dict[tuple[str, ...], str]:
    """What torch is told, by the name of each variable and its older one."""
    return {
        ("TORCH_FR_BUFFER_SIZE", "TORCH_NCCL_TRACE_BUFFER_SIZE"): str(ENTRIES),
        ("TORCH_FR_DUMP_TEMP_FILE", "TORCH_NCCL_DEBUG_INFO_TEMP_FILE"): f"{folder.absolute()}/nccl_rank_",
        ("TORCH_NCCL_DUMP_ON_TIMEOUT",): "1",
    }


def _set(*names: str) -> bool:
    return any(name in os.environ for name in names)


def write(folder: Path | None, rank: int) -> None:
    """Writes down what this process exchanged last, where it can; nothing that goes wrong here hides why."""
    if folder is None:
        return
    writer = threading.Thread(target=_write, args=(folder, rank), daemon=True)
    writer.start()
    writer.join(PATIENCE)


def _write(folder: Path, rank: int) -> None:
    recorder: Any = torch._C._distributed_c10d
    with suppress(Exception):
        folder.mkdir(parents=True, exist_ok=True)
        entries = pickle.loads(recorder._dump_fr_trace())["entries"]  # bytes that torch has just made
        (folder / f"gloo-{rank}.txt").write_text("".join(map(_line, entries[-SHOWN:])))
    kept = folder / f"nccl_rank_{rank}"
    if torch.cuda.is_available() and hasattr(recorder, "_dump_nccl_trace") and not kept.exists():
        with suppress(Exception):
            kept.write_bytes(recorder._dump_nccl_trace())


def _line(entry: dict[str, Any]) -> str:
    """When it began (seconds since 1970), how far it came, what it is, of which shapes, and who called it."""
    callers = (f for f in entry.get("frames", ()) if f"{os.sep}torch{os.sep}" not in f["filename"])
    calls = " < ".join(f"{f['name']} ({Path(f['filename']).name}:{f['line']})" for f in islice(callers, 4))
    began = entry["time_created_ns"] / 1e9
    return f"{began:.3f} {entry['state']} {entry['profiling_name']} {entry['input_sizes']} {calls}\n"


def where(folder: Path | None) -> str:
    """For a message: where the records lie; empty where there are none."""
    there = folder is not None and folder.is_dir() and any(folder.iterdir())
    return f"; what each process exchanged last lies in {folder}" if there else ""
