"""What a recipe says about evaluation. Free of torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from seedstock import kinds
from seedstock.config import Bytes, Config, Count


class EvaluationConfig(Config):
    """How the finished model is scored on the held-out split.

    ``context`` is the window in tokens (the model's own where it is not given), ``stride`` how far windows of a long
    document move on (a whole window, so no overlap, where it is not given), ``batch_tokens`` how many tokens go
    through the network at once, ``limit`` how much held-out text is scored at most: the documents with the lowest
    ids, which are keyed digests and so an unbiased sample; ``validation_limit`` is the same during training.
    ``floor_order`` is the highest order of the count models, ``floor_limit`` how much training text they are counted
    on, ``compress_limit`` how much text ``xz`` gets of either split. ``test`` lists sources whose labelled texts a
    second stage is scored on; nothing is chosen by them. ``tasks`` has to be empty: there are none yet.
    """

    tasks: tuple[str, ...] = ()
    context: Annotated[Count, Field(ge=1)] | None = None
    stride: Annotated[Count, Field(ge=1)] | None = None
    batch_tokens: Annotated[Count, Field(ge=1)] = 4096
    limit: Annotated[Bytes, Field(ge=1)] | None = None
    validation_limit: Annotated[Bytes, Field(ge=1)] = 100_000
    floor_order: Annotated[int, Field(ge=0, le=6)] = 5
    floor_limit: Annotated[Bytes, Field(ge=1)] = 512_000_000
    compress_limit: Annotated[Bytes, Field(ge=0)] = 2_000_000
    test: list[kinds.field("sources")] = Field(default=[])  # type: ignore[valid-type]

    @field_validator("tasks")
    @classmethod
    def _none_yet(cls, tasks: tuple[str, ...]) -> tuple[str, ...]:
        if tasks:
            raise ValueError("benchmark tasks are not built yet; leave the list empty")
        return tasks
