"""The recipe's ``mixture``: how much of the training comes from which strata."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_serializer, model_validator

from seedstock.config import Config, Count, Fraction

Part = Literal["source", "domain", "language", "band"]
Repeats = Annotated[Count, Field(ge=1)] | None


def _shares(weights: dict[str, float]) -> dict[str, float]:
    if sum(weights.values()) > 1 + 1e-9:
        raise ValueError(f"the shares come to {sum(weights.values()):g}, which is more than 1 (100 %)")
    return weights


class Phase(Config):
    """``{from: 80 %, weights: {books: 50 %}}``: other weights, and another temperature, from a part of the run on."""

    start: Annotated[Fraction, Field(alias="from", lt=1)]
    weights: dict[str, Fraction] = Field(default={})
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    _sum = field_validator("weights")(_shares)

    @model_serializer(mode="wrap")
    def _as_written(self, dump: Any) -> Any:
        found = dump(self)
        return {"from": found.pop("start", self.start), **found}


class MixtureConfig(Config):
    """Weights of the strata, by groups.

    ``by`` names the parts of a stratum that make a group; groups are weighted by tokens to the power
    1 / ``temperature`` (1: as they come, larger: flatter), strata inside a group by their tokens. ``weights`` gives
    groups a fixed share of the training: ``python/en``, ``python`` (every group that begins so) or ``*/en``; the
    groups that it does not name share the rest. ``max_repeats`` is how many times a document may be seen; null
    repeats for ever. Four passes cost next to nothing against new data (Muennighoff et al. 2023, arXiv 2305.16264,
    section 6).

    ``repeats`` sets another cap for some (``{source: {books: 8, web: 1}}``; of several the lowest). ``budgets`` are
    exact numbers of tokens, counted in whole windows (``{source: {books: 2M}}``): they stand before the weights, which
    divide the rest. ``schedule`` lists phases of other weights, the first ``from: 0 %``. Budgets and a schedule need a
    run of known length (``training.steps`` or ``tokens``).
    """

    by: list[Part] = Field(default=["source", "language"], min_length=1)
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    weights: dict[str, Fraction] = Field(default={})
    max_repeats: Repeats = 4
    repeats: dict[Part, dict[str, Repeats]] = Field(default={})
    budgets: dict[Part, dict[str, Annotated[Count, Field(ge=0)]]] = Field(default={})
    schedule: tuple[Phase, ...] = ()

    _sum = field_validator("weights")(_shares)

    @field_validator("by")
    @classmethod
    def _once(cls, by: list[str]) -> list[str]:
        if len(set(by)) != len(by):
            raise ValueError("name every part once")
        return by

    @model_validator(mode="after")
    def _in_order(self) -> MixtureConfig:
        starts = [phase.start for phase in self.schedule]
        if starts and (starts[0] != 0 or starts != sorted(set(starts))):
            raise ValueError("a schedule's phases begin at 0 % and follow each other")
        if starts and self.weights:
            raise ValueError("write the weights of each phase into the schedule, and none beside it")
        return self

    @property
    def needs_length(self) -> bool:
        """Whether it can only be planned for a run of known length."""
        return bool(self.schedule) or any(self.budgets.values())
