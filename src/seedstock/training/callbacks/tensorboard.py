"""Scalars for TensorBoard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seedstock.errors import RecipeError
from seedstock.training.callbacks.base import Callback
from seedstock.training.callbacks.events import summary
from seedstock.training.callbacks.validation import Validation

if TYPE_CHECKING:
    from seedstock.training.readings import Reading
    from seedstock.training.trainer import Trainer

FOLDER = "tensorboard"


class TensorBoard(Callback):
    """Writes what ``events.jsonl`` gets of each reading and validation into the run's ``tensorboard/``."""

    name = "tensorboard"

    def __init__(self) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise RecipeError(
                "TensorBoard is not installed",
                where="training.callbacks",
                fix="pip install 'seedstock[track]', or remove the callback",
            ) from error
        self._open = SummaryWriter
        self._writer: Any = None

    def start(self, run: Trainer) -> None:
        """Opens the log; what an earlier attempt wrote beyond this step is hidden."""
        self._writer = self._open(str(run.folder / FOLDER), purge_step=run.step + 1 if run.step else None)

    def read(self, run: Trainer, readings: list[Reading]) -> None:
        """Writes the scalars, without the counters."""
        found = summary(readings, run)
        for name in found.keys() - {"step", "examples", "tokens", "seconds", "waited"}:
            self._writer.add_scalar(f"training/{name}", found[name], found["step"])

    def after_step(self, run: Trainer) -> None:
        """Writes the validation of this step, which comes before other callbacks."""
        last = next((one.last for one in run.callbacks if isinstance(one, Validation)), {})
        if last.get("step") == run.step:
            for name in last.keys() - {"step", "tokens"}:
                if isinstance(last[name], int | float):
                    self._writer.add_scalar(f"validation/{name}", last[name], run.step)

    def finish(self, run: Trainer) -> None:
        """Closes the log."""
        if self._writer is not None:
            self._writer.close()
