"""Samples from the model at regular steps, by a callable that the pipeline hands in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seedstock.training.callbacks.base import Callback

if TYPE_CHECKING:
    from seedstock.training.trainer import Trainer


class Samples(Callback):
    """Calls ``sample(nets, step) -> text`` and writes the event ``sample``."""

    name = "samples"
    everywhere = True

    def __init__(self, every: int) -> None:
        self.every = every

    def start(self, run: Trainer) -> None:
        """Says so where there is nothing to sample with."""
        if run.sample is None:
            run.reporter.say("samples are asked for, but this run has none to give, or nothing is held out to draw")

    def after_step(self, run: Trainer) -> None:
        """Samples, every so many steps and after the last."""
        if run.sample is None or (run.step % self.every and run.step != run.steps):
            return
        with run.evaluating():
            text = run.sample(run.nets, run.step)
        run.reporter.event("sample", step=run.step, tokens=run.tokens, text=text)
        run.reporter.say(f"step {run.step:,}: {text}")
