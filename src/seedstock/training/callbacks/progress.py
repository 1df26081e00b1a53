"""The progress bar: loss, tokens/s, MFU and time left."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from seedstock.training.callbacks.base import Callback

if TYPE_CHECKING:
    from seedstock.progress import Bar
    from seedstock.training.readings import Reading
    from seedstock.training.trainer import Trainer

SMOOTHING = 0.1


class Progress(Callback):
    """Advances the reporter's bar; loss and speed are running averages over about ten readings."""

    name = "progress"

    def __init__(self) -> None:
        self._open = contextlib.ExitStack()
        self._bar: Bar | None = None
        self._step = 0
        self._loss: float | None = None
        self._rate: float | None = None

    def start(self, run: Trainer) -> None:
        """Opens the bar, at the step that the attempt starts from."""
        self._bar = self._open.enter_context(run.reporter.bar("training", run.steps, "step"))
        self._step = run.step
        if run.step:
            self._bar.advance(run.step)

    def read(self, run: Trainer, readings: list[Reading]) -> None:
        """Advances the bar."""
        assert self._bar is not None
        for reading in readings:
            self._loss = _smooth(self._loss, reading.loss)
            self._rate = _smooth(self._rate, reading.step_tokens / max(reading.seconds, 1e-9))
        last, rate = readings[-1], self._rate or 0.0
        shown: dict[str, Any] = {"loss": f"{self._loss:.3f}", "tokens/s": f"{rate:,.0f}"}
        if run.peak_flops:
            shown["MFU"] = f"{rate * last.flops / max(last.step_tokens, 1) / run.peak_flops:.0%}"
        shown["left"] = clock((run.steps - last.step) * last.step_tokens / max(rate, 1e-9))
        self._bar.advance(last.step - self._step, **shown)  # a rewind takes the bar back too
        self._step = last.step

    def finish(self, run: Trainer) -> None:
        """Closes the bar."""
        self._open.close()


def clock(seconds: float) -> str:
    """``m:ss`` or ``h:mm:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _smooth(old: float | None, new: float) -> float:
    return new if old is None else old + SMOOTHING * (new - old)
