"""Runs a command and says what it cost: wall time, processor time and the most memory of all its processes together.

The last two are sampled every 50 ms over the command, its descendants and whatever else it leaves in its process group:
what a process spends between the last look and its end is missed. Memory is the proportional set size (PSS) from /proc,
which counts shared pages once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

INTERVAL = 0.05


@dataclass
class Cost:
    """``wall`` and ``cpu`` in seconds, ``peak`` in bytes, what the command printed, and its exit status."""

    wall: float
    cpu: float
    peak: int
    out: str
    status: int


def run(command: list[str], *, env: dict[str, str] | None = None, cwd: str | None = None, limit: float = 600) -> Cost:
    """Runs a command; one that is still at it after ``limit`` seconds is killed with all its kin."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, cwd=cwd, process_group=0
    )
    peak, spent, over = [0], {}, threading.Event()

    def sample() -> None:
        while not over.wait(INTERVAL):
            family = _family(process.pid)
            peak[0] = max(peak[0], sum(map(_pss, family)))
            spent.update({pid: seconds for pid in family if (seconds := _cpu(pid))})

    watcher = threading.Thread(target=sample, daemon=True)
    watcher.start()
    try:
        out, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        for pid in _family(process.pid):
            os.kill(pid, signal.SIGKILL)
        out, _ = process.communicate()
    wall = time.perf_counter() - began
    over.set()
    watcher.join()
    return Cost(wall, sum(spent.values()), peak[0], out, process.returncode)


def _family(group: int) -> list[int]:
    """The processes of a group and their descendants, wherever these moved to."""
    parents, found = {}, set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(fields[1])
            if int(fields[2]) == group:
                found.add(int(entry.name))
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in found and pid not in found}
        grown = bool(more)
        found |= more
    return sorted(found)


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def _cpu(pid: int) -> float:
    """The processor time of one process so far, in seconds."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
