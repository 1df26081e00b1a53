"""Locks that a process holds alone: its forks let go of them."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from typing import IO

from seedstock.errors import SeedstockError

_HELD: set[int] = set()


@contextlib.contextmanager
def locked(file: IO[str], refused: SeedstockError) -> Iterator[None]:
    """Holds an open file's lock. Raises ``refused`` where another process holds it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise refused from None
    _HELD.add(file.fileno())
    try:
        yield
    finally:
        _HELD.discard(file.fileno())


def _let_go() -> None:
    """A forked worker would hold its parent's locks for as long as it outlives it."""
    for number in _HELD:
        os.close(number)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
