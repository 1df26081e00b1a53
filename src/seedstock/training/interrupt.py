"""SIGTERM, SIGUSR1 and Ctrl-C: finish the step, save, and say how to go on."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Stop:
    """While it is entered, the signals only leave a note, ``asked``; a second Ctrl-C interrupts at once.

    Signals reach the main thread alone: elsewhere (a notebook's worker, a test) nothing is caught.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)

    def __init__(self) -> None:
        self.asked: str | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            for number in self.SIGNALS:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def request(self, why: str) -> None:
        """Asks for a stop after the present step."""
        self.asked = why

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.request("interrupted" if number == signal.SIGINT else "asked to stop")
