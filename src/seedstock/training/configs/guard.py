"""What a run does about steps that would harm it. Free of torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from seedstock.config import Config


class GuardConfig(Config):
    """A ladder for steps whose loss or gradient is not finite, and with ``sigmas`` for spikes.

    Such a step is skipped: weights and optimizers stay as they were. After ``skips`` of them within ``window`` steps
    the run goes back to a checkpoint from before the trouble, and on without the examples of the steps around it.
    After ``rewinds`` of those it stops. A spike is a loss, or a norm of the gradient, above the mean of the last
    ``window`` good steps by more than ``sigmas`` standard deviations (6 is a usual choice); none is looked for before
    there were as many. Data that changes on purpose (a curriculum, another length) moves the loss too, so spikes are
    let through unless asked for.
    """

    sigmas: Annotated[float, Field(gt=0)] | None = None
    window: Annotated[int, Field(ge=2)] = 128
    skips: Annotated[int, Field(ge=1)] = 3
    rewinds: Annotated[int, Field(ge=0)] = 2
