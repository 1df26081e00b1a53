"""Where shard tasks are done: on this machine, on a Ray cluster, or by a Slurm array. The same task, the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from seedstock.corpus.tasks import Task
from seedstock.progress import Reporter

Engine = Literal["local", "ray", "slurm"]


def run(
    kind: Engine,
    pending: Sequence[Task],
    *,
    workers: int | None,
    timeout: float,
    memory: float | None,
    done: Callable[[Task], None],
    reporter: Reporter,
) -> None:
    """Does every task; see ``engine.run`` for the arguments, which bound each worker wherever it is.

    Raises Interrupted where tasks were handed over to a scheduler that is to be waited for.
    """
    if not pending:
        return
    if kind == "ray":
        from seedstock.corpus.backends import ray

        ray.run(pending, timeout=timeout, memory=memory, done=done)
    elif kind == "slurm":
        from seedstock.corpus.backends import slurm

        slurm.run(pending, timeout=timeout, memory=memory, done=done, reporter=reporter)
    else:
        from seedstock.corpus import engine

        engine.run(pending, workers=workers, timeout=timeout, memory=memory, done=done, reporter=reporter)
