"""Callbacks as recipes write them. Free of torch.

A package's own callback is a configuration with ``build()``, which gives a ``training.callbacks.base.Callback``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from seedstock.config import Config, Count
from seedstock.planning.energy import GRAMS_CO2_A_KWH


class TensorBoardConfig(Config):
    """Scalars and samples for TensorBoard, under the run's ``tensorboard/`` (needs ``seedstock[track]``)."""

    kind: Literal["tensorboard"] = "tensorboard"

    def build(self) -> Any:
        """The callback. Raises RecipeError where TensorBoard is not installed."""
        from seedstock.training.callbacks.tensorboard import TensorBoard

        return TensorBoard()


class SamplesConfig(Config):
    """Text (or whatever the run's sampler gives) from the model at regular steps."""

    kind: Literal["samples"] = "samples"
    every: Annotated[Count, Field(ge=1)] = 100

    def build(self) -> Any:
        """The callback; it uses the sampler that ``fit`` was handed."""
        from seedstock.training.callbacks.samples import Samples

        return Samples(self.every)


class ExpertLoadConfig(Config):
    """How evenly the experts of each layer are used (the event ``experts``), at regular steps."""

    kind: Literal["experts"] = "experts"
    every: Annotated[Count, Field(ge=1)] = 100

    def build(self) -> Any:
        """The callback."""
        from seedstock.training.callbacks.experts import ExpertLoad

        return ExpertLoad(self.every)


class WandbConfig(Config):
    """Numbers for Weights & Biases (needs ``seedstock[track]``): into the run's ``wandb/``, or ``online``."""

    kind: Literal["wandb"] = "wandb"
    project: str = "seedstock"
    mode: Literal["offline", "online"] = "offline"

    def build(self) -> Any:
        """The callback. Raises RecipeError where the package is not installed."""
        from seedstock.training.callbacks.wandb import Wandb

        return Wandb(self.project, self.mode)


class MlflowConfig(Config):
    """Numbers for MLflow (needs ``seedstock[track]``): to the server ``uri``, by default into the run's ``mlflow/``."""

    kind: Literal["mlflow"] = "mlflow"
    experiment: str = "seedstock"
    uri: str | None = None

    def build(self) -> Any:
        """The callback. Raises RecipeError where the package is not installed."""
        from seedstock.training.callbacks.mlflow import Mlflow

        return Mlflow(self.experiment, self.uri)


class VitalsConfig(Config):
    """Memory, waiting for data, energy with CO2, and how far a step moves the weights (the event ``vitals``).

    ``grid`` is grams of CO2 a kWh, by default the world's average.
    """

    kind: Literal["vitals"] = "vitals"
    every: Annotated[Count, Field(ge=1)] = 100
    grid: Annotated[float, Field(gt=0)] = GRAMS_CO2_A_KWH

    def build(self) -> Any:
        """The callback."""
        from seedstock.training.callbacks.vitals import Vitals

        return Vitals(self.every, self.grid)
