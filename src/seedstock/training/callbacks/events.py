"""The training curve in ``events.jsonl``: up to about a thousand lines a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seedstock.objectives.by_source import ratios
from seedstock.training import measure
from seedstock.training.callbacks.base import Callback

if TYPE_CHECKING:
    from seedstock.training.readings import Reading
    from seedstock.training.trainer import Trainer

LINES = 1000


class Events(Callback):
    """An event ``step`` every so many steps: means over the steps since the last one."""

    name = "events"

    def __init__(self) -> None:
        self._kept: list[Reading] = []

    def read(self, run: Trainer, readings: list[Reading]) -> None:
        """Writes the events that are due."""
        every = max(1, run.steps // LINES)
        for reading in readings:
            self._kept.append(reading)
            if reading.step % every == 0 or reading.step == run.steps:
                run.reporter.event("step", **summary(self._kept, run))
                self._kept = []


def summary(readings: list[Reading], run: Trainer) -> dict[str, Any]:
    """Where the run stands after the last of some readings, with means over all of them."""
    last, seconds = readings[-1], sum(reading.seconds for reading in readings)
    rate = sum(reading.step_tokens for reading in readings) / max(seconds, 1e-9)
    parts = last.losses if len(last.losses) > 1 else {}
    shown = {
        "step": last.step,
        "examples": last.examples,
        "tokens": last.tokens,
        "loss": _mean([reading.loss for reading in readings]),
        "learning_rate": last.learning_rate,
        "grad_norm": _mean([reading.grad_norm for reading in readings]),
        "tokens_per_second": round(rate, 1),
        "seconds": round(seconds, 4),
        "waited": round(sum(reading.waited for reading in readings), 4),
    }
    if run.peak_flops:
        reached = sum(reading.flops for reading in readings) / max(seconds, 1e-9)
        shown["mfu"] = round(reached / run.peak_flops, 4)
        if promised := measure.sheet(run.device) * run.world.size:
            shown["mfu_of_sheet"] = round(reached / promised, 4)
    shown |= {f"loss.{name}": _mean([reading.losses[name] for reading in readings]) for name in parts}
    sums = {name: sum(reading.metrics[name] for reading in readings) / len(readings) for name in last.metrics}
    metrics = {name: round(value, 6) for name, value in ratios(sums).items()}
    return metrics | shown  # a metric that is called like a field of ours does not hide it


def _mean(values: list[float]) -> float:
    return round(sum(values) / len(values), 6)
