"""How evenly the experts of a mixture are used, at regular steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seedstock.training.callbacks.base import Callback

if TYPE_CHECKING:
    from seedstock.training.trainer import Trainer


class ExpertLoad(Callback):
    """Writes the event ``experts``: of each layer the load's ``entropy`` in the step before (1: even) and ``busiest``,
    the largest share that one expert had as a multiple of the mean."""

    name = "experts"

    def __init__(self, every: int) -> None:
        self.every = every

    def start(self, run: Trainer) -> None:
        """Says so where there are no experts."""
        from seedstock.models.experts import experts_of

        self.layers = experts_of(run.network)
        if not self.layers:
            run.reporter.say("the load of experts is asked for, but this network has none")

    def after_step(self, run: Trainer) -> None:
        """Reads the load, every so many steps and after the last."""
        if not self.layers or (run.step % self.every and run.step != run.steps):
            return
        entropy = [round(layer.entropy(), 4) for layer in self.layers]
        loads = [layer.last_load.double() for layer in self.layers]
        busiest = [round(float(load.max() / load.mean().clamp(min=1e-9)), 3) for load in loads]
        run.reporter.event("experts", step=run.step, entropy=entropy, busiest=busiest)
