"""Scalars for TensorBoard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seedstock.errors import RecipeError
from seedstock.training.callbacks.tracker import Tracker

if TYPE_CHECKING:
    from seedstock.training.trainer import Trainer

FOLDER = "tensorboard"


class TensorBoard(Tracker):
    """Writes the numbers into the run's ``tensorboard/``."""

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

    def open(self, run: Trainer) -> None:
        """Opens the log; what an earlier attempt wrote beyond this step is hidden."""
        self._writer = self._open(str(run.folder / FOLDER), purge_step=run.step + 1 if run.step else None)

    def write(self, numbers: dict[str, float], step: int) -> None:
        """Writes scalars."""
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Closes the log."""
        if self._writer is not None:
            self._writer.close()
