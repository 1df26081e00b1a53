"""What trackers have in common: every number that a run tells is sent on under one name, whatever the tracker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seedstock.training.callbacks.base import Callback
from seedstock.training.callbacks.events import summary

if TYPE_CHECKING:
    from seedstock.progress import Reporter
    from seedstock.training.readings import Reading
    from seedstock.training.trainer import Trainer

COUNTERS = {"step", "examples", "tokens", "seconds", "waited"}


class Tracker(Callback):
    """Listens to the run's one stream of events: override ``open``, ``write`` and ``close``.

    Each reading is ``training/NAME``, any other event with a step ``KIND/NAME``; numbers alone, no text.
    """

    def open(self, run: Trainer) -> None:
        """Before the first number."""

    def write(self, numbers: dict[str, float], step: int) -> None:
        """Takes numbers by name."""

    def close(self) -> None:
        """After the last one."""

    def start(self, run: Trainer) -> None:
        """Opens the log, and listens."""
        self.open(run)
        run.reporter = _Heard(run.reporter, self)

    def read(self, run: Trainer, readings: list[Reading]) -> None:
        """Sends the readings, without the counters."""
        found = summary(readings, run)
        self.write({f"training/{name}": found[name] for name in sorted(found.keys() - COUNTERS)}, found["step"])

    def finish(self, run: Trainer) -> None:
        """Closes the log."""
        if isinstance(run.reporter, _Heard):
            run.reporter = run.reporter.inner
        self.close()


class _Heard:
    """A reporter whose events a tracker hears too."""

    def __init__(self, inner: Reporter, tracker: Tracker) -> None:
        self.inner, self.tracker = inner, tracker

    def event(self, kind: str, **fields: Any) -> None:
        self.inner.event(kind, **fields)
        step = fields.get("step")
        if kind != "step" and isinstance(step, int):
            numbers = {
                f"{kind}/{name}": float(value)
                for name, value in fields.items()
                if isinstance(value, int | float) and name not in COUNTERS
            }
            if numbers:
                self.tracker.write(numbers, step)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)
