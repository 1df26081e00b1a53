"""Runs shard tasks on this machine, and outlives what kills a worker.

A worker that dies, or says nothing for longer than the deadline, is replaced. It said before each step which rows it
was about to take, so the next worker takes these in halves; the single row that kills twice is guilty, and is left out
and named. Everything else is kept.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe, wait
from typing import IO, Any

from seedstock.corpus import tasks
from seedstock.corpus.tasks import Findings, Place, Task
from seedstock.errors import DataError, SeedstockError
from seedstock.progress import Reporter, Silent

SMALL = 4 * 2**20  # bytes: less than this is read sooner than a worker starts (about 0.5 s)
DEATHS = 500  # of one task, before it is given up


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_workers(pending: Sequence[Task]) -> int:
    """A worker a core; none (this process does the work) where there is little to do."""
    return 0 if sum(task.bytes for task in pending) < SMALL else min(cores(), len(pending))


def run(
    pending: Sequence[Task],
    *,
    workers: int | None,
    timeout: float,
    done: Callable[[Task], None] = lambda task: None,
    reporter: Reporter | None = None,
) -> None:
    """Does every task; ``done`` is called for each, in the order in which they end.

    A worker that is silent for ``timeout`` seconds is replaced; each replacement is an event of the reporter.
    ``workers=0`` does them in this process, where an exception is still traced to its document, but a document that
    kills the process kills the run. Raises SeedstockError where a task cannot be done.
    """
    workers = default_workers(pending) if workers is None else workers
    if workers == 0:
        for task in pending:
            tasks.run(task, lambda place: None)
            done(task)
        return
    with contextlib.ExitStack() as stack:
        pool = _Pool(pending, timeout, done, reporter or Silent(), stack)
        pool.run(min(workers, len(pending)))


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    pipe: Connection[Any, Any]
    errors: IO[bytes]
    heard: float = field(default_factory=time.monotonic)
    task: Task | None = None
    place: Place | None = None

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        self.pipe.close()
        self.errors.close()
        if self.process.stdin:
            self.process.stdin.close()


class _Pool:
    def __init__(
        self,
        pending: Sequence[Task],
        timeout: float,
        done: Callable[[Task], None],
        reporter: Reporter,
        stack: contextlib.ExitStack,
    ) -> None:
        self.queue = deque(pending)
        self.timeout, self.done, self.reporter, self.stack = timeout, done, reporter, stack
        self.findings: dict[str, Findings] = {task.digest: Findings() for task in pending}
        self.deaths: dict[str, int] = dict.fromkeys(self.findings, 0)
        self.workers: list[_Worker] = []
        self.stillborn = 0

    def run(self, count: int) -> None:
        for _ in range(count):
            self._start()
        while self.queue or any(worker.task for worker in self.workers):
            deadline = min(worker.heard for worker in self.workers) + self.timeout
            ready = wait([worker.pipe for worker in self.workers], max(0.0, deadline - time.monotonic()))
            for worker in list(self.workers):
                if worker.pipe in ready:
                    self._listen(worker)
                elif worker.task is not None and time.monotonic() - worker.heard > self.timeout:
                    self._replace(worker, f"no answer for {self.timeout:g} s")
                elif worker.task is None:
                    worker.heard = time.monotonic()

    def _start(self) -> None:
        ours, theirs = Pipe()
        errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
        one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)  # noqa: PTH109
        process = subprocess.Popen(
            [sys.executable, "-m", "seedstock.corpus.worker", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.PIPE,
            stdout=errors,
            stderr=errors,
            env={**os.environ, **one, "PYTHONPATH": path, "PYTHONHASHSEED": "0"},
        )
        theirs.close()
        worker = _Worker(process, ours, errors)
        self.stack.callback(worker.stop)
        self.workers.append(worker)

    def _listen(self, worker: _Worker) -> None:
        worker.heard = time.monotonic()
        try:
            kind, value = worker.pipe.recv()
        except (EOFError, ConnectionError):
            code = worker.process.wait()
            how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
            self._replace(worker, f"the worker died: {how}{_frames(worker.errors)}")
            return
        if kind == "at":
            worker.place = value
        elif kind == "failed":
            raise value if isinstance(value, SeedstockError) else _broken(worker.task, value)
        else:
            if worker.task is not None:
                self.done(worker.task)
            self.stillborn = 0
            self._next(worker)

    def _next(self, worker: _Worker) -> None:
        worker.task = worker.place = None
        if self.queue:
            worker.task = self.queue.popleft()
            try:
                worker.pipe.send((worker.task, self.findings[worker.task.digest]))
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                raise _broken(worker.task, error) from error

    def _replace(self, worker: _Worker, reason: str) -> None:
        self.workers.remove(worker)
        self.reporter.event("worker replaced", reason=reason, place=worker.place)
        worker.errors.seek(0)
        said = worker.errors.read().decode(errors="replace").strip()
        worker.stop()
        if worker.task is None or worker.place is None:
            self.stillborn += 1
            if self.stillborn > 2:
                raise SeedstockError(
                    f"workers end before they work: {reason}\n{said[-2000:]}", fix="see the message above"
                )
        if worker.task is not None:
            self._suspect(worker.task, worker.place, reason)
            self.queue.appendleft(worker.task)
        self._start()

    def _suspect(self, task: Task, place: Place | None, reason: str) -> None:
        findings = self.findings[task.digest]
        self.deaths[task.digest] += 1
        if self.deaths[task.digest] > DEATHS:
            raise DataError(
                f"{DEATHS} workers died on one piece of it; last: {reason}",
                where=f"source {task.source.name!r}: {task.partitions[0].name}",
                fix="leave out the signal or the file that kills them",
            )
        if place is None:
            return
        single = place[0] == "read" or place[3] - place[2] == 1
        if single and place in findings.suspects:
            findings.guilty[place] = reason
        findings.suspects.add(place)


def _frames(errors: IO[bytes]) -> str:
    """Where a crashed worker was, by its faulthandler's dump, without this machine's paths."""
    errors.seek(0)
    text = errors.read().decode(errors="replace")
    current = text.partition("Current thread 0x")[2].partition("\n\n")[0]
    found = re.findall(r'File "([^"]+)", line (\d+) in (\S+)', current)
    shown = [f"{os.path.basename(file)}:{line} {name}" for file, line, name in found[:5]]  # noqa: PTH119
    return f" [{' < '.join(shown)}]" if shown else ""


def _broken(task: Task | None, error: BaseException) -> BaseException:
    if isinstance(error, AttributeError | ImportError | pickle.PicklingError):  # the task cannot travel
        return DataError(
            f"a worker process cannot import what the recipe names: {error}",
            where=f"source {task.source.name!r}" if task else None,
            fix="define sources and signals in an importable module, not in the script itself, or pass workers=0",
        )
    error.add_note("in a worker process of the corpus engine")
    return error
