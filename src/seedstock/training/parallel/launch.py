"""Starts a process for each device of this machine, and waits for them: no launcher is needed for one machine."""

from __future__ import annotations

import os
import pickle
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seedstock.errors import SeedstockError

GRACE = 20.0
"""Seconds that the others have to leave, once one process has failed, beyond what they take to notice."""
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


def devices(processes: int | None) -> int:
    """How many processes this machine trains with: as asked, or one for each GPU."""
    import torch

    return processes or max(1, torch.cuda.device_count())


def start(
    function: Callable[..., Any], arguments: tuple[Any, ...], size: int, timeout: float, records: Path | None = None
) -> Any:
    """``function(*arguments)`` in ``size`` processes that form a group; returns what the first one gave. The folder
    ``records`` is for what they exchanged last, where one is lost.

    SIGTERM, SIGUSR1 and Ctrl-C are passed on to all. Raises what a process raised, the first one's before others';
    SeedstockError that names a process that was lost.
    """
    import torch.distributed as dist
    import torch.multiprocessing as mp

    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    with tempfile.TemporaryDirectory(prefix="seedstock-") as folder, _one_thread_each(size):
        given = (function, arguments, size, timeout, store.port, folder, records)
        context = mp.start_processes(_work, given, nprocs=size, join=False, start_method="spawn")
        with _passed_on(context.processes):
            codes = _wait(context.processes)
        return _outcome(Path(folder), codes, records)


def _work(
    rank: int,
    function: Any,
    arguments: Any,
    size: int,
    timeout: float,
    port: int,
    folder: str,
    records: Path | None,
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent passes it on as SIGTERM, once
    import torch.distributed as dist

    from seedstock.training.parallel.group import formed

    outcome: tuple[str, Any]
    try:
        store = dist.TCPStore("127.0.0.1", port, is_master=False)
        with formed(store, rank, size, rank, timeout, records):
            outcome = ("result", function(*arguments) if rank == 0 else (function(*arguments), None)[1])
    except Exception as error:
        if not isinstance(error, SeedstockError):
            import traceback

            traceback.print_exc()
            error = SeedstockError(f"process {rank} of {size} failed: {type(error).__name__}: {error}")
        outcome = ("error", error)
    path = Path(folder) / str(rank)
    path.with_suffix(".part").write_bytes(pickle.dumps(outcome))
    path.with_suffix(".part").rename(path)
    if outcome[0] == "error":
        os._exit(1)  # an orderly end would wait for exchanges that nobody answers


def _wait(processes: list[Any]) -> list[int | None]:
    """Their exit codes, when all have ended: by themselves, or some time after the first failed."""
    until = float("inf")
    while any(process.exitcode is None for process in processes) and time.monotonic() < until:
        if until == float("inf") and any(process.exitcode for process in processes):
            until = time.monotonic() + GRACE
        time.sleep(0.05)
    codes = [process.exitcode for process in processes]
    for process in processes:
        if process.exitcode is None:
            process.kill()
            process.join()
    return codes


def _outcome(folder: Path, codes: list[int | None], records: Path | None) -> Any:
    from seedstock.training.parallel import flight
    from seedstock.training.parallel.group import FIX, LostError

    found = {int(path.name): pickle.loads(path.read_bytes()) for path in folder.iterdir() if path.name.isdigit()}
    # Who was killed left no word; who waited for it says so too, and knows less.
    killed = [rank for rank, code in enumerate(codes) if code is not None and rank not in found]
    errors = [found[rank][1] for rank in sorted(found) if found[rank][0] == "error"]
    for error in errors:
        if not isinstance(error, LostError):
            raise error
    if killed:
        how = " and ".join(f"process {rank} of {len(codes)} was lost ({_ending(codes[rank])})" for rank in killed)
        raise LostError(how, fix=FIX + flight.where(records))
    for error in errors:
        raise error
    return found[0][1]


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"


@contextmanager
def _passed_on(processes: list[Any]) -> Iterator[None]:
    """Inside, requests to stop go to the processes, which save and leave."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def tell(number: int, frame: Any) -> None:
        for process in processes:
            if process.is_alive():
                os.kill(process.pid, signal.SIGTERM)

    before = {number: signal.signal(number, tell) for number in STOPS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _one_thread_each(size: int) -> Iterator[None]:
    """Inside, processes start with their share of this one's threads."""
    import torch

    held = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(max(1, torch.get_num_threads() // size))
    try:
        yield
    finally:
        os.environ.pop("OMP_NUM_THREADS")
        if held is not None:
            os.environ["OMP_NUM_THREADS"] = held
