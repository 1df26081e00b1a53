"""Shard tasks on a Ray cluster: a CPU each, as many at a time as the cluster has."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from seedstock.corpus.backends import one
from seedstock.corpus.tasks import Task
from seedstock.errors import SeedstockError

RETRIES = 3  # of a task whose node went away


def run(pending: Sequence[Task], *, timeout: float, memory: float | None, done: Callable[[Task], None]) -> None:
    """Does every task on the cluster of ``RAY_ADDRESS`` (or one that this machine makes up for the occasion).

    A node that does not share the folder of tasks sends its files back. Raises SeedstockError where a task cannot be
    done, or Ray is not installed.
    """
    try:
        import ray
    except ImportError:
        raise SeedstockError(
            "corpus.engine: ray needs Ray, which is not installed", fix="pip install 'seedstock[cluster]'"
        ) from None
    started = not ray.is_initialized()
    if started:
        # "local" unless a cluster is named: Ray would also take up one that a file in /tmp speaks of.
        address = os.environ.get("RAY_ADDRESS", "local")
        ray.init(address=address, include_dashboard=False, logging_level="error", log_to_driver=False)
    try:
        _run(ray, [replace(task, work=task.work.absolute()) for task in pending], timeout, memory, done)
    finally:
        if started:
            ray.shutdown()


def _run(ray: Any, pending: Sequence[Task], timeout: float, memory: float | None, done: Callable[[Task], None]) -> None:
    pending[0].work.mkdir(parents=True, exist_ok=True)
    token = one.mark(pending[0].work)
    work = ray.remote(num_cpus=1, max_retries=RETRIES)(one.run)
    at_once = max(1, int(ray.cluster_resources().get("CPU", 1)))
    queue = list(reversed(pending))
    running: dict[Any, Task] = {}
    while queue or running:
        while queue and len(running) < at_once:  # results wait on their nodes: no more than are worked on
            task = queue.pop()
            running[work.remote(task, token, timeout, memory)] = task
        (ready,), _ = ray.wait(list(running), num_returns=1)
        task = running.pop(ready)
        try:
            files = ray.get(ready)
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            raise cause if isinstance(cause, SeedstockError) else error from None
        except ray.exceptions.RayError as error:
            raise SeedstockError(
                f"the cluster lost a task: {str(error).splitlines()[0]}",
                where=f"source {task.source.name!r}: {task.partitions[0].name}",
                fix="start the same command again; what was complete is kept",
            ) from error
        if files is not None:
            one.put(task, files)
        done(task)
