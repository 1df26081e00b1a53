"""The process group of a run: formed, and left in an orderly way; who is missing is named."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from seedstock.errors import SeedstockError
from seedstock.training.parallel import flight

ASK = 10.0
"""Seconds in which those who found something wrong wait for each other, to learn who is missing."""
_SIGNS = ("gloo", "nccl", "connection closed", "connection reset", "timed out", "timeout", "socket", "broken pipe")


@contextmanager
def formed(store: Any, rank: int, size: int, local: int, timeout: float, records: Path | None = None) -> Iterator[None]:
    """Inside, torch's default group is up: gloo between hosts, nccl between GPUs.

    What goes wrong in one process ends all: raises SeedstockError that names the process that was lost or hangs, or
    that failed, after at most ``timeout`` seconds of waiting for it. What was exchanged last is then written to the
    folder ``records``.
    """
    with flight.recorded(records, rank):
        yield from _formed(store, rank, size, local, timeout, records)


def _formed(store: Any, rank: int, size: int, local: int, timeout: float, records: Path | None) -> Iterator[None]:
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(local)
    backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
    dist.init_process_group(
        backend, store=dist.PrefixStore("group", store), rank=rank, world_size=size, timeout=timedelta(seconds=timeout)
    )
    left = dist.PrefixStore("left", store)
    try:
        yield
    except Exception as error:  # the group is not taken down: that would wait for those who may never answer
        if not _of_others(error):
            own = isinstance(error, SeedstockError)
            _leave(left, rank, f"failed: {error.what if own else error}")  # type: ignore[attr-defined]
            raise
        flight.write(records, rank)
        _leave(left, rank, "waits")
        raise LostError(_blame(left, size, timeout), fix=FIX + flight.where(records)) from error
    dist.destroy_process_group()


class LostError(SeedstockError):
    """Another process was lost, hangs or failed."""


FIX = "start the same command again: it goes on from the last checkpoint, with as many processes as there are"


def _of_others(error: Exception) -> bool:
    """Whether an exchange with others failed, rather than something here."""
    distributed = isinstance(error, dist.DistError)
    return distributed or (isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _SIGNS))


def _leave(left: Any, rank: int, why: str) -> None:
    try:
        left.set(str(rank), why)
    except Exception:  # the store is gone, and with it whoever could read this
        return


def _left(left: Any, rank: int) -> str | None:
    try:
        return left.get(str(rank)).decode() if left.check([str(rank)]) else None
    except Exception:
        return None


def _blame(left: Any, size: int, timeout: float) -> str:
    until = time.monotonic() + min(ASK, timeout)
    while True:
        known = {other: _left(left, other) for other in range(size)}
        silent = [other for other, why in known.items() if why is None]
        failed = {other: why for other, why in known.items() if why and why.startswith("failed")}
        if failed or not silent or time.monotonic() > until:
            break
        time.sleep(0.2)
    if failed:
        other, why = next(iter(failed.items()))
        return f"process {other} of {size} {why}"
    if silent:
        return " and ".join(f"process {other} of {size}" for other in silent) + f" gave no answer in {timeout:g} s"
    return f"the connection between {size} processes broke, though all are there"
