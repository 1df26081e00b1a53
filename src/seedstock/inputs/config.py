"""The recipe's ``mixture``: how much of the training comes from which strata."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from seedstock.config import Config, Count, Fraction

Part = Literal["source", "domain", "language"]


class MixtureConfig(Config):
    """Weights of the strata, by groups.

    ``by`` names the parts of a stratum that make a group; groups are weighted by tokens to the power
    1 / ``temperature`` (1: as they come, larger: flatter), strata inside a group by their tokens. ``weights`` gives
    groups a fixed share of the training: ``python/en``, ``python`` (every group that begins so) or ``*/en``; the
    groups that it does not name share the rest. ``max_repeats`` is how many times a document may be seen; null
    repeats for ever. Four passes cost next to nothing against new data (Muennighoff et al. 2023, arXiv 2305.16264,
    section 6).
    """

    by: list[Part] = Field(["source", "language"], min_length=1)
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    weights: dict[str, Fraction] = Field({})
    max_repeats: Annotated[Count, Field(ge=1)] | None = 4

    @field_validator("by")
    @classmethod
    def _once(cls, by: list[str]) -> list[str]:
        if len(set(by)) != len(by):
            raise ValueError("name every part once")
        return by

    @field_validator("weights")
    @classmethod
    def _shares(cls, weights: dict[str, float]) -> dict[str, float]:
        if sum(weights.values()) > 1 + 1e-9:
            raise ValueError(f"the shares come to {sum(weights.values()):g}, which is more than 1 (100 %)")
        return weights
