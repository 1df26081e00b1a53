"""Callbacks as recipes write them. Free of torch.

A package's own callback is a configuration with ``build()``, which gives a ``training.callbacks.base.Callback``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from seedstock.config import Config, Count


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
