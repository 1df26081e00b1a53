"""Numbers for Weights & Biases, offline unless asked otherwise."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from seedstock.errors import RecipeError
from seedstock.training.callbacks.tracker import Tracker

if TYPE_CHECKING:
    from seedstock.training.trainer import Trainer


class Wandb(Tracker):
    """Writes the numbers into the run's ``wandb/`` (``wandb sync`` uploads them), or with ``mode: online`` to a server.

    Nothing of the machine, its user or the source code is sent: names, numbers and their steps alone.
    """

    name = "wandb"

    def __init__(self, project: str, mode: str) -> None:
        try:
            import wandb
        except ImportError as error:
            raise RecipeError(
                "Weights & Biases is not installed",
                where="training.callbacks",
                fix="pip install 'seedstock[track]', or remove the callback",
            ) from error
        self._package: Any = wandb
        self.project, self.mode = project, mode
        self.id = uuid.uuid4().hex[:16]
        self._run: Any = None

    def open(self, run: Trainer) -> None:
        """Begins the tracker's run, or goes on with it after a resume."""
        quiet = {"console": "off", "silent": True, "disable_git": True, "disable_code": True}
        quiet |= {"x_disable_stats": True, "x_disable_meta": True, "x_disable_machine_info": True}
        quiet |= {"x_save_requirements": False, "host": "seedstock"}
        settings = self._package.Settings(**quiet)
        self._run = self._package.init(
            project=self.project,
            name=run.folder.name,
            id=self.id,
            dir=str(run.folder),
            mode=self.mode,
            resume="allow" if self.mode == "online" else None,
            settings=settings,
        )
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")  # its own steps may not go back, ours may

    def write(self, numbers: dict[str, float], step: int) -> None:
        """Logs numbers."""
        self._run.log({**numbers, "step": step})

    def close(self) -> None:
        """Ends the tracker's run."""
        if self._run is not None:
            self._run.finish()

    def state(self) -> dict[str, Any]:
        """The run's id with the tracker."""
        return {"id": self.id}

    def restore(self, state: dict[str, Any]) -> None:
        """The run's id with the tracker."""
        self.id = state["id"]
