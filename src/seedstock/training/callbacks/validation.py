"""Validation at regular steps, by a callable that the pipeline hands in."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import nn

from seedstock.training.callbacks.base import Callback

if TYPE_CHECKING:
    from seedstock.training.trainer import Trainer


class Validation(Callback):
    """Calls ``validate(nets, step) -> {name: number}`` and writes the event ``validation``.

    The nets are in evaluation mode, without gradients, and with the averaged weights where there is an average.
    """

    name = "validation"
    everywhere = True

    def __init__(self, validate: Callable[[nn.ModuleDict, int], dict[str, Any]], every: int) -> None:
        self.validate, self.every = validate, every
        self.last: dict[str, Any] = {}

    def after_step(self, run: Trainer) -> None:
        """Validates, every so many steps and after the last."""
        if run.step % self.every and run.step != run.steps:
            return
        with run.evaluating():
            found = self.validate(run.nets, run.step)
        self.last = {"step": run.step, "tokens": run.tokens, **found}
        run.reporter.event("validation", **self.last)
        numbers = {key: value for key, value in found.items() if isinstance(value, int | float)}
        shown = ", ".join(f"{key} {value:.4g}" for key, value in numbers.items())
        run.reporter.say(f"step {run.step:,}: held out {shown}")

    def state(self) -> dict[str, Any]:
        """The last scores."""
        return {"last": self.last}

    def restore(self, state: dict[str, Any]) -> None:
        """The last scores."""
        self.last = state["last"]
