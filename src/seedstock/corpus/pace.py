"""How fast tasks are done: documents a second and the time that is left, for a progress bar."""

from __future__ import annotations

import time
from collections.abc import Sequence

from seedstock.corpus.tasks import Task
from seedstock.progress import Bar


class Pace:
    """Called with each task that is done."""

    def __init__(self, bar: Bar, pending: Sequence[Task]) -> None:
        self.bar, self.left = bar, sum(task.bytes for task in pending)
        self.started, self.bytes, self.documents = time.monotonic(), 0, 0

    def __call__(self, task: Task) -> None:
        """Advances the bar by the task's bytes."""
        self.bytes += task.bytes
        self.left -= task.bytes
        self.documents += sum(record["rows"] for record in task.pieces() or [])
        seconds = max(1e-3, time.monotonic() - self.started)
        shown = {"documents/s": f"{self.documents / seconds:,.0f}"}
        if self.left and self.bytes:
            shown["left"] = _duration(self.left * seconds / self.bytes)
        self.bar.advance(task.bytes, **shown)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
