"""Runs a command and says what it cost: wall time, processor time and the most memory of all its processes together.

Memory is the proportional set size (PSS) from /proc, which counts shared pages once; it is sampled every 50 ms over the
command, its descendants and whatever else it leaves in its session.
"""

from __future__ import annotations

import os
import resource
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
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, cwd=cwd, start_new_session=True
    )
    peak, over = [0], threading.Event()

    def sample() -> None:
        while not over.wait(INTERVAL):
            peak[0] = max(peak[0], sum(map(_pss, _family(process.pid))))

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
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall, cpu, peak[0], out, process.returncode)


def _family(session: int) -> list[int]:
    """The processes of a session and their descendants, wherever these moved to."""
    parents, found = {}, set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(fields[1])
            if int(fields[3]) == session:
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
