"""One shard task on whatever machine this is: in place where the folder of tasks is shared, else in one of its own.

``python -m seedstock.corpus.backends.one FOLDER NUMBER OF`` does every OF-th task of a folder that ``slurm`` wrote,
from NUMBER on. A task runs in a worker process, so that a document that kills it is found and left out as anywhere.
"""

from __future__ import annotations

import os
import pickle
import secrets
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from seedstock.corpus import engine
from seedstock.corpus.tasks import Task
from seedstock.ledger.files import write_bytes, write_text

TOKEN = "shared"


def mark(work: Path) -> str:
    """Leaves a secret in the folder of tasks: a machine that reads it there shares the folder."""
    token = secrets.token_hex(16)
    write_text(work / TOKEN, token)
    return token


def shares(work: Path, token: str) -> bool:
    """Whether this machine sees the folder that was marked."""
    try:
        return (work / TOKEN).read_text() == token
    except OSError:
        return False


def run(task: Task, token: str, timeout: float, memory: float | None) -> dict[str, bytes] | None:
    """Does a task. Returns its files by name where this machine does not see the task's folder, else None."""
    if shares(task.work, token):
        engine.run([task], workers=1, timeout=timeout, memory=memory)
        return None
    with tempfile.TemporaryDirectory() as folder:
        own = replace(task, work=Path(folder))
        engine.run([own], workers=1, timeout=timeout, memory=memory)
        return {path.name: path.read_bytes() for path in sorted(own.folder.iterdir()) if path.is_file()}


def put(task: Task, files: dict[str, bytes]) -> None:
    """Writes a task's files that came from elsewhere; those that say that others are whole come last."""
    task.folder.mkdir(parents=True, exist_ok=True)
    for name in sorted(files, key=lambda name: (name.endswith(".json"), name == "read.json", name)):
        write_bytes(task.folder / name, files[name])


def save(path: Path, pending: Sequence[Task], **given: Any) -> None:
    """Writes tasks down for another process, with absolute paths."""
    tasks = [replace(task, work=Path(os.path.abspath(task.work))) for task in pending]  # noqa: PTH100
    write_bytes(path, pickle.dumps((tasks, given)))


def main(arguments: Sequence[str]) -> None:
    """Does a share of the tasks of a folder."""
    folder, number, of = Path(arguments[0]), int(arguments[1]), int(arguments[2])
    tasks, given = pickle.loads((folder / "tasks.pickle").read_bytes())
    for task in tasks[number::of]:
        if task.pieces() is None:
            engine.run([task], workers=1, **given)


if __name__ == "__main__":
    main(sys.argv[1:])
