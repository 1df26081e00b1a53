"""Runs shard tasks on this machine, and outlives what kills a worker.

A worker that dies, says nothing for longer than the deadline, or takes more memory than it may, is replaced. It said
before each step which rows it was about to take, so the next worker takes these one by one; the single row that kills
twice is guilty, and is left out and named. Everything else is kept.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait

from seedstock.corpus import tasks
from seedstock.corpus.processes import Worker, fork, start
from seedstock.corpus.tasks import Findings, Place, Task
from seedstock.errors import DataError, SeedstockError
from seedstock.progress import Reporter, Silent

SMALL = 4 * 2**20  # bytes: less than this is read sooner than a worker starts (about 0.5 s)
DEATHS = 500  # of one task, before it is given up
STUBBORN = 4  # deaths while one piece is written, which is no document's fault
MEMORY = 4 * 2**30  # bytes that a worker may take, where nothing else is said
POLL = 0.2  # seconds between two looks at the workers' memory
FIRST = 10.0  # seconds that a forked worker may be silent


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_workers(pending: Sequence[Task]) -> int:
    """A worker a core, no more than there are tasks; one where there is little to do."""
    return 1 if small(pending) else min(cores(), len(pending))


def small(pending: Sequence[Task]) -> bool:
    """Whether there is so little to do that a worker is forked sooner than started."""
    return sum(task.bytes for task in pending) < SMALL and hasattr(os, "fork")


def run(
    pending: Sequence[Task],
    *,
    workers: int | None,
    timeout: float,
    memory: float | None = None,
    done: Callable[[Task], None] = lambda task: None,
    reporter: Reporter | None = None,
) -> None:
    """Does every task; ``done`` is called for each, in the order in which they end.

    A worker that is silent for ``timeout`` seconds, or grows by more than ``memory`` bytes (4 GiB; never more than its
    share of the machine's), is replaced; each replacement is an event of the reporter. Where there is little to do, the
    first worker is a fork of this process. ``workers=0`` does all in this process, where an exception is still traced
    to its document, but a document that kills the process kills the run. Raises SeedstockError where a task cannot be
    done.
    """
    if not pending:
        return
    if workers == 0:
        for task in pending:
            tasks.run(task, lambda place: None)
            done(task)
        return
    count = default_workers(pending) if workers is None else min(workers, len(pending))
    limit = min(MEMORY if memory is None else memory, 0.9 * _machine() / count)
    with contextlib.ExitStack() as stack:
        pool = _Pool(pending, timeout, limit, done, reporter or Silent(), stack)
        pool.run(count, forked=workers is None and small(pending))


class _Pool:
    def __init__(
        self,
        pending: Sequence[Task],
        timeout: float,
        memory: float,
        done: Callable[[Task], None],
        reporter: Reporter,
        stack: contextlib.ExitStack,
    ) -> None:
        self.pending, self.queue = pending, deque(range(len(pending)))
        self.timeout, self.memory, self.done, self.reporter, self.stack = timeout, memory, done, reporter, stack
        self.findings = [Findings() for _ in pending]
        self.deaths = [0] * len(pending)
        self.workers: list[Worker] = []
        self.stillborn = 0

    def run(self, count: int, forked: bool = False) -> None:
        for _ in range(count):
            self._add(fork(self.pending) if forked else start())
        looked = time.monotonic()
        while self.queue or any(worker.task is not None for worker in self.workers):
            deadline = min(worker.heard + self._patience(worker) for worker in self.workers)
            ready = wait([w.pipe for w in self.workers], min(POLL, max(0.0, deadline - time.monotonic())))
            for worker in list(self.workers):
                if worker.pipe in ready:
                    self._listen(worker)
                elif worker.task is not None or worker.forked:
                    patience = self._patience(worker)
                    if time.monotonic() - worker.heard > patience:
                        self._replace(worker, f"no answer for {patience:g} s")
                else:
                    worker.heard = time.monotonic()
            if time.monotonic() - looked > POLL:
                looked = time.monotonic()
                for worker in list(self.workers):
                    if worker.task is not None and worker.grown() > self.memory:
                        self._replace(worker, f"it took more than {self.memory / 1e9:.1f} GB of memory")

    def _patience(self, worker: Worker) -> float:
        # A fork may wait for what a thread held that did not come along; a started worker cannot, and has all the time.
        return min(FIRST, self.timeout) if worker.forked else self.timeout

    def _add(self, worker: Worker) -> None:
        self.stack.callback(worker.stop)
        self.workers.append(worker)

    def _listen(self, worker: Worker) -> None:
        worker.heard = time.monotonic()
        try:
            kind, value = worker.pipe.recv()
        except (EOFError, ConnectionError):
            code = worker.process.wait()
            how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
            self._replace(worker, f"the worker died: {how}{worker.frames()}")
            return
        if kind == "at":
            worker.place = value
        elif kind == "failed":
            raise value if isinstance(value, SeedstockError) else _broken(self._task(worker), value)
        else:
            if worker.task is not None:
                self.done(self.pending[worker.task])
            self.stillborn = 0
            self._next(worker)

    def _next(self, worker: Worker) -> None:
        worker.task = worker.place = None
        if not self.queue:
            return
        worker.task = self.queue.popleft()
        task = self.pending[worker.task]
        try:
            worker.pipe.send((worker.task if worker.forked else task, self.findings[worker.task]))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise _broken(task, error) from error

    def _replace(self, worker: Worker, reason: str) -> None:
        self.workers.remove(worker)
        self.reporter.event("worker replaced", reason=reason, place=worker.place)
        said = worker.said()
        worker.stop()
        if worker.place is None and not worker.forked:
            self.stillborn += 1
            if self.stillborn > 2:
                raise SeedstockError(
                    f"workers end before they work: {reason}\n{said[-2000:]}", fix="see the message above"
                )
        if worker.task is not None:
            self._suspect(worker.task, worker.place, reason)
            self.queue.appendleft(worker.task)
        self._add(start())

    def _suspect(self, number: int, place: Place | None, reason: str) -> None:
        task, findings = self.pending[number], self.findings[number]
        self.deaths[number] += 1
        stuck = place is not None and place[0] == "write" and self.deaths[number] >= STUBBORN
        if stuck or self.deaths[number] > DEATHS:
            raise DataError(
                f"{self.deaths[number]} workers died on one piece of it; last: {reason}",
                where=f"source {task.source.name!r}: {task.partitions[0].name}",
                fix="leave out the signal or the file that kills them, or raise corpus.memory",
            )
        if place is not None:
            findings.accuse(place, reason)

    def _task(self, worker: Worker) -> Task | None:
        return None if worker.task is None else self.pending[worker.task]


def _machine() -> float:
    """The machine's memory in bytes."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (ValueError, OSError):
        return float("inf")


def _broken(task: Task | None, error: BaseException) -> BaseException:
    if isinstance(error, AttributeError | ImportError | pickle.PicklingError):  # the task cannot travel
        return DataError(
            f"a worker process cannot import what the recipe names: {error}",
            where=f"source {task.source.name!r}" if task else None,
            fix="define sources and signals in an importable module, not in the script itself, or pass workers=0",
        )
    error.add_note("in a worker process of the corpus engine")
    return error
