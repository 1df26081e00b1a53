"""What a run costs its machine, and how far a step moves the weights, at regular steps."""

from __future__ import annotations

import resource
import sys
from typing import TYPE_CHECKING, Any

import torch

from seedstock.planning.energy import Meter
from seedstock.training.callbacks.base import Callback
from seedstock.training.norm import total_norm

if TYPE_CHECKING:
    from torch import Tensor

    from seedstock.training.readings import Reading
    from seedstock.training.trainer import Trainer


class Vitals(Callback):
    """Writes the event ``vitals``:

    - ``memory_bytes``: the most that the main process held, of the device where that is a GPU, else of the machine
    - ``waited_share``: the share of the steps' time that was spent waiting for data, since the last event
    - ``watt_hours``, ``co2_grams``, ``energy`` (measured or estimated): of the main process's machine since this
      attempt began. Counters are those of the machine, so nothing is multiplied by the number of processes.
    - ``update_norm``, ``weight_norm``, ``update_share``: the Euclidean norm of what this step changed, of the weights,
      and the one over the other. It takes a copy of the weights for the length of one step.
    """

    name = "vitals"
    everywhere = True

    def __init__(self, every: int, grid: float) -> None:
        self.every, self.grid = every, grid
        self._before: list[Tensor] | None = None
        self._seconds = self._waited = 0.0
        self._meter: Meter | None = None

    def start(self, run: Trainer) -> None:
        """Starts the counters."""
        if run.world.main:
            self._meter = Meter(grid=self.grid)
            self._meter.__enter__()
        self._prepare(run)

    def read(self, run: Trainer, readings: list[Reading]) -> None:
        """Adds up times."""
        self._seconds += sum(reading.seconds for reading in readings)
        self._waited += sum(reading.waited for reading in readings)

    def rewound(self, run: Trainer) -> None:
        """A copy from beyond the rewind is of no use."""
        self._before = None
        self._prepare(run)

    @torch.no_grad()
    def after_step(self, run: Trainer) -> None:
        """Writes the event that is due; and copies the weights where it is due after the next step."""
        if self._before is not None:
            weights = [p.detach() for p in run.parameters.values()]
            moved = [new - old for new, old in zip(weights, self._before, strict=True)]
            self._before = None
            update, size = (float(total_norm(some, run.world)) for some in (moved, weights))
            del moved
            norms = {"update_norm": update, "weight_norm": size, "update_share": update / max(size, 1e-30)}
            if run.world.main:
                run.reporter.event("vitals", step=run.step, **self._machine(run), **norms)
            self._seconds = self._waited = 0.0
        self._prepare(run)

    def finish(self, run: Trainer) -> None:
        """Stops the counters."""
        if self._meter is not None:
            self._meter.__exit__()
            self._meter = None

    def _prepare(self, run: Trainer) -> None:
        following = run.step + 1
        if following % self.every == 0 or following == run.steps:
            self._before = [p.detach().clone() for p in run.parameters.values()]

    def _machine(self, run: Trainer) -> dict[str, Any]:
        found: dict[str, Any] = {"memory_bytes": _memory(run.device)}
        found["waited_share"] = round(self._waited / max(self._seconds, 1e-9), 5)
        if self._meter is not None:
            energy = self._meter.read()
            found |= {"watt_hours": round(energy.watt_hours, 4), "co2_grams": round(energy.co2_grams, 3)}
            found["energy"] = energy.method
        return found


def _memory(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
