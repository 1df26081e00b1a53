"""The worker processes of the corpus engine: started as programs of their own, or forked from this one."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import IO, Any, Protocol

from seedstock.corpus.tasks import Place, Task


class Process(Protocol):
    """What is asked of a process."""

    pid: int

    def kill(self) -> None: ...

    def wait(self) -> int: ...


@dataclass
class Worker:
    """A process that does tasks, and what is known of it.

    ``task`` is the number of the task that it has, ``place`` where in it it said to be, ``heard`` when it last said
    anything; a ``forked`` one knows the tasks by their numbers.
    """

    process: Process
    pipe: Connection[Any, Any]
    errors: IO[bytes]
    life: int | None = None  # the end of a pipe that tells a worker that we live
    forked: bool = False
    heard: float = field(default_factory=time.monotonic)
    task: int | None = None
    place: Place | None = None
    base: int | None = None

    def stop(self) -> None:
        """Ends it, if it has not ended."""
        self.process.kill()
        self.process.wait()
        self.pipe.close()
        self.errors.close()
        if self.life is not None:
            os.close(self.life)
            self.life = None

    def grown(self) -> int:
        """The bytes by which its resident set grew since it was first looked at; 0 where the system does not say."""
        try:
            pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        except (OSError, IndexError, ValueError):
            return 0
        size = pages * os.sysconf("SC_PAGE_SIZE")
        if self.base is None:
            self.base = size
        return size - self.base

    def said(self) -> str:
        """What it wrote to its standard streams."""
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace").strip()

    def frames(self) -> str:
        """Where a crashed worker was, by its faulthandler's dump, without this machine's paths."""
        current = self.said().partition("Current thread 0x")[2].partition("\n\n")[0]
        found = re.findall(r'File "([^"]+)", line (\d+) in (\S+)', current)
        shown = [f"{os.path.basename(file)}:{line} {name}" for file, line, name in found[:5]]  # noqa: PTH119
        return f" [{' < '.join(shown)}]" if shown else ""


def start() -> Worker:
    """Starts a program (``seedstock.corpus.worker``) that imports what it needs and nothing of the caller's."""
    ours, theirs = Pipe()
    errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)  # noqa: PTH109
    listening, life = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "seedstock.corpus.worker", str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        stdin=listening,
        stdout=errors,
        stderr=errors,
        env={**os.environ, **one, "PYTHONPATH": path, "PYTHONHASHSEED": "0"},
    )
    os.close(listening)
    theirs.close()
    return Worker(process, ours, errors, life)


class _Child:
    """A forked process, asked as a ``subprocess.Popen`` is."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.code: int | None = None

    def kill(self) -> None:
        if self.code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        if self.code is None:
            self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.code


def fork(pending: Sequence[Task]) -> Worker:
    """A worker that has all modules and tasks already, in milliseconds.

    Threads of this process do not go along, and what they hold stays held: a fork that hangs for that is replaced by a
    started worker, like any that hangs.
    """
    from seedstock.corpus import worker

    ours, theirs = Pipe()
    errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
    listening, life = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads: see above
        pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            os.close(life)
            for number, handle in enumerate((listening, errors.fileno(), errors.fileno())):
                os.dup2(handle, number)
            worker.serve(theirs, pending)
        finally:
            os._exit(0)  # whatever happens, nothing of the parent's goes on here
    os.close(listening)
    theirs.close()
    return Worker(_Child(pid), ours, errors, life, forked=True)
