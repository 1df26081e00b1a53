"""How rooms tell what they are doing: stages, bars, messages, events. Rooms never print."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol


class Bar(Protocol):
    """A running count of work done."""

    def advance(self, amount: float = 1, **shown: Any) -> None:
        """Adds to what is done; ``shown`` values (loss, tokens/s) appear beside the bar."""


class Reporter(Protocol):
    """What a room is handed to report through."""

    def stage(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Marks a stage of the pipeline, with its duration."""

    def bar(self, label: str, total: float | None, unit: str) -> contextlib.AbstractContextManager[Bar]:
        """Shows progress of known or unknown length."""

    def say(self, text: Any) -> None:
        """One line for the person who watches, or a table (anything that rich can render)."""

    def event(self, kind: str, **fields: Any) -> None:
        """One line of events.jsonl."""


class _NoBar:
    def advance(self, amount: float = 1, **shown: Any) -> None:
        pass


class Silent:
    """Reports nothing: for library use and tests."""

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        yield

    @contextlib.contextmanager
    def bar(self, label: str, total: float | None, unit: str) -> Iterator[Bar]:
        yield _NoBar()

    def say(self, text: Any) -> None:
        pass

    def event(self, kind: str, **fields: Any) -> None:
        pass


class Events(Silent):
    """Appends events to a run's ``events.jsonl``, a line each, with the time in seconds since 1970.

    Raises SeedstockError where the disk is full or refuses.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path

    def event(self, kind: str, **fields: Any) -> None:
        if self.path is not None:
            from seedstock.ledger.files import plain_errors

            line = json.dumps({"time": round(time.time(), 3), "event": kind, **fields}, ensure_ascii=False)
            with plain_errors(self.path), self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
