"""A worker process of the corpus engine: takes tasks from a pipe, says where it is, and dies alone.

It is a program of its own rather than started by ``multiprocessing``, which would import the caller's main module; or a
fork of the caller, where there is little to do.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from multiprocessing.connection import Connection
from typing import Any

from seedstock.corpus import tasks
from seedstock.corpus.memory import lean
from seedstock.corpus.tasks import Task


def main(handle: int) -> None:
    """Serves until the parent closes the pipe."""
    import pyarrow as pa

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    with lean():
        serve(Connection(handle))


def serve(pipe: Connection[Any, Any], known: Sequence[Task] = ()) -> None:
    """Does the tasks that come by the pipe, each with its findings: a task, or the number of one that is ``known``."""
    faulthandler.enable(sys.__stderr__ or 2)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a fork has its parent's handler
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=_die_with_parent, daemon=True).start()
    pipe.send(("ready", None))
    while True:
        try:
            task, findings = pipe.recv()
            if isinstance(task, Task):
                _spare_pandas(task)
            tasks.run(known[task] if isinstance(task, int) else task, lambda place: pipe.send(("at", place)), findings)
            pipe.send(("done", None))
        except (EOFError, BrokenPipeError):
            return
        except Exception as error:
            _send_failure(pipe, error)


def _spare_pandas(task: Task) -> None:
    """Keeps pyarrow from importing pandas, which takes as long as a hundred pages.

    At the first list that it is given it looks whether that is one of pandas' arrays, if there is pandas; in code of
    ours there are none. Whatever imports pandas by itself can do so.
    """
    import pyarrow as pa

    modules = {type(kind).__module__ for kind in (task.source, *task.signals)}
    strange = any(not name.startswith("seedstock.") or name.endswith(".huggingface") for name in modules)
    if strange or "pandas" in sys.modules:
        return
    refusal = _NoPandas()
    sys.meta_path.insert(0, refusal)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(refusal)


class _NoPandas(MetaPathFinder):
    def find_spec(self, name: str, path: Any, target: Any = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name)


def _send_failure(pipe: Connection[Any, Any], error: Exception) -> None:
    error.add_note("".join(traceback.format_exception(error)))  # the pipe does not carry the traceback itself
    try:
        pipe.send(("failed", error))
    except (TypeError, AttributeError, pickle.PicklingError):
        pipe.send(("failed", RuntimeError(f"{type(error).__name__}: {error}")))


def _die_with_parent() -> None:
    """Standard input is a pipe that nobody writes to: it ends when the parent is gone, however it went."""
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]))
