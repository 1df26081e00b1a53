"""Numbers for MLflow, in a folder of the run or on a server."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from seedstock.errors import RecipeError
from seedstock.training.callbacks.tracker import Tracker

if TYPE_CHECKING:
    from seedstock.training.trainer import Trainer


class Mlflow(Tracker):
    """Logs the numbers to the tracking server ``uri``, by default into the run's ``mlflow/``."""

    name = "mlflow"

    def __init__(self, experiment: str, uri: str | None) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        try:
            from mlflow import entities
            from mlflow.tracking import MlflowClient
        except ImportError as error:
            raise RecipeError(
                "MLflow is not installed",
                where="training.callbacks",
                fix="pip install 'seedstock[track]', or remove the callback",
            ) from error
        self._client_class, self._metric = MlflowClient, entities.Metric
        self.experiment, self.uri = experiment, uri
        self.id: str | None = None
        self._client: Any = None

    def open(self, run: Trainer) -> None:
        """Begins the tracker's run, or goes on with it after a resume."""
        folder = run.folder / "mlflow"
        if self.uri is None:  # a folder needs no server; the package wants to be told that this is meant
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        self._client = self._client_class(tracking_uri=self.uri or folder.absolute().as_uri())
        if self.id is None:
            known = self._client.get_experiment_by_name(self.experiment)
            number = known.experiment_id if known else self._client.create_experiment(self.experiment)
            self.id = self._client.create_run(number, run_name=run.folder.name).info.run_id

    def write(self, numbers: dict[str, float], step: int) -> None:
        """Logs numbers."""
        now = int(time.time() * 1000)
        metrics = [self._metric(name, float(value), now, step) for name, value in numbers.items()]
        self._client.log_batch(self.id, metrics=metrics)

    def close(self) -> None:
        """Ends the tracker's run."""
        if self._client is not None and self.id is not None:
            self._client.set_terminated(self.id)

    def state(self) -> dict[str, Any]:
        """The run's id with the tracker."""
        return {"id": self.id}

    def restore(self, state: dict[str, Any]) -> None:
        """The run's id with the tracker."""
        self.id = state["id"]
