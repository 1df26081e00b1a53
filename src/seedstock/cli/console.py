"""Progress for people: bars and stage lines on a terminal, plain lines elsewhere; events to the run's file."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Any

from seedstock.progress import Bar, Events

LINE_SECONDS = 15.0


def terminal(stderr: bool = False) -> Any:
    """A rich console that prints documents as they are: what looks like markup, a link or an emoji's code is text."""
    from rich.console import Console as Rich

    return Rich(stderr=stderr, markup=False, emoji=False, highlight=False)


class Console(Events):
    """A Reporter that writes to standard error."""

    def __init__(self, quiet: bool = False) -> None:
        super().__init__()
        self.quiet = quiet
        self._terminal = sys.stderr.isatty() and not quiet
        self._active: Any = None

    def say(self, text: Any) -> None:
        """A line, or anything that rich can render."""
        if self.quiet:
            return
        if self._active is not None:
            self._active.console.print(text)
        elif isinstance(text, str):
            print(text, file=sys.stderr, flush=True)
        else:
            terminal(stderr=True).print(text)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        self.say(f"── {name}")
        self.event("stage", name=name, state="started")
        yield
        seconds = time.monotonic() - started
        self.event("stage", name=name, state="done", seconds=round(seconds, 2))

    @contextlib.contextmanager
    def bar(self, label: str, total: float | None, unit: str) -> Iterator[Bar]:
        if not self._terminal or self._active is not None:
            yield _Lines(self, label, total, unit)
            return
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:3.0f} %" if total else "{task.completed:,.0f}"),
            TextColumn("{task.fields[shown]}", markup=False),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=terminal(stderr=True), transient=True) as progress:
            self._active = progress
            try:
                yield _Live(progress, progress.add_task(f"   {label}", total=total, shown=""), unit)
            finally:
                self._active = None


def _shown(values: dict[str, Any]) -> str:
    return "  ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items())


class _Live:
    def __init__(self, progress: Any, task: Any, unit: str) -> None:
        self._progress, self._task, self._unit = progress, task, unit

    def advance(self, amount: float = 1, **shown: Any) -> None:
        fields = {"shown": _shown(shown)} if shown else {}
        self._progress.update(self._task, advance=amount, **fields)


class _Lines:
    """A line now and then, for logs."""

    def __init__(self, console: Console, label: str, total: float | None, unit: str) -> None:
        self._console, self._label, self._total, self._unit = console, label, total, unit
        self._done, self._told = 0.0, time.monotonic()

    def advance(self, amount: float = 1, **shown: Any) -> None:
        self._done += amount
        now = time.monotonic()
        if now - self._told >= LINE_SECONDS:
            self._told = now
            of = f" of {self._total:,.0f}" if self._total else ""
            self._console.say(f"   {self._label}: {self._done:,.0f}{of} {self._unit}  {_shown(shown)}".rstrip())
