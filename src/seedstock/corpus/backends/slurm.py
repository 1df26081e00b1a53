"""Shard tasks by a Slurm array: a script over task numbers, submitted here or by hand."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from seedstock.corpus.backends import one
from seedstock.corpus.tasks import Task
from seedstock.errors import DataError, Interrupted
from seedstock.ledger.files import write_text
from seedstock.progress import Reporter

ELEMENTS = 1000  # of an array at most: Slurm's default MaxArraySize is 1001


def run(
    pending: Sequence[Task],
    *,
    timeout: float,
    memory: float | None,
    done: Callable[[Task], None],
    reporter: Reporter,
) -> None:
    """Writes the array for these tasks and submits it with ``sbatch --wait``.

    Where there is no ``sbatch`` the script is left to be submitted by hand: raises Interrupted, which says how; the
    same command then goes on with whatever is not done. Raises DataError where elements failed.
    """
    script = write(pending, timeout=timeout, memory=memory)
    if shutil.which("sbatch") is None:
        raise Interrupted(
            f"{len(pending)} shard tasks are written down, and there is no sbatch here",
            where=script,
            fix=f"run `sbatch --wait {shlex.quote(str(script))}` where there is one, then this command again",
        )
    reporter.say(f"   submitting {script}")
    ended = subprocess.run(["sbatch", "--wait", str(script)], capture_output=True, text=True, check=False)
    left = [task for task in pending if task.pieces() is None]
    for task in pending:
        if task not in left:
            done(task)
    if left:
        raise DataError(
            f"{len(left)} of {len(pending)} shard tasks were not done: {(ended.stderr or ended.stdout).strip()[-500:]}",
            where=script.parent,
            fix="see the logs there, then start the same command again; what was complete is kept",
        )


def write(pending: Sequence[Task], *, timeout: float, memory: float | None) -> Path:
    """Writes the tasks and the array's script into ``slurm`` beside the tasks' folders; returns the script.

    Options for ``sbatch`` beyond these (account, partition, time) come from its own ``SBATCH_…`` variables.
    """
    folder = Path(os.path.abspath(pending[0].work)) / "slurm"  # noqa: PTH100 - links may differ between machines
    folder.mkdir(parents=True, exist_ok=True)
    one.save(folder / "tasks.pickle", pending, timeout=timeout, memory=memory)
    elements = min(ELEMENTS, len(pending))
    command = [sys.executable, "-m", "seedstock.corpus.backends.one", str(folder)]
    path = os.pathsep.join(entry for entry in sys.path if entry)
    script = folder / "array.sbatch"
    lines = [
        "#!/bin/bash",
        "#SBATCH --job-name=seedstock-corpus",
        f"#SBATCH --array=0-{elements - 1}",
        "#SBATCH --ntasks=1",
        "#SBATCH --cpus-per-task=1",
        f"#SBATCH --output={folder}/%a.log",
        f"export PYTHONPATH={shlex.quote(path)}",
        f'exec {shlex.join(command)} "$SLURM_ARRAY_TASK_ID" {elements}',
    ]
    write_text(script, "\n".join(lines) + "\n")
    return script
