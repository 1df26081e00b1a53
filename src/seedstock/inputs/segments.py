"""The parts of a data plan: what the recipe asks for (segments), and what it comes to (pieces and step grids)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seedstock.errors import DataError, RecipeError
from seedstock.inputs.interleave import Table

NEVER = 1 << 62


@dataclass(frozen=True)
class Segment:
    """From example number ``example`` on: these weights (stratum number → share), this length, this batch.

    The weights of an ``exact`` segment are the examples that it has of each stratum, no more and no less.
    """

    example: int
    weights: Mapping[int, float]
    length: int
    batch: int
    exact: bool = False

    def to_json(self) -> dict[str, Any]:
        """JSON has no integer keys, so strata are written as text."""
        weights = {str(stratum): weight for stratum, weight in sorted(self.weights.items())}
        exact = {"exact": True} if self.exact else {}
        return {"example": self.example, "weights": weights, "length": self.length, "batch": self.batch, **exact}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Segment:
        """The inverse of ``to_json``."""
        weights = {int(stratum): weight for stratum, weight in record["weights"].items()}
        return cls(record["example"], weights, record["length"], record["batch"], record.get("exact", False))


def check(segments: Sequence[Segment], strata: Mapping[int, int], superblock: int) -> None:
    """Raises RecipeError or DataError where segments make no sense by themselves, or for strata of so many tokens."""
    if not segments or segments[0].example != 0:
        raise RecipeError("a data plan begins with a segment at example 0", fix="give the first segment example 0")
    available, length = sum(strata.values()), segments[0].length
    if available <= length:
        raise DataError(
            f"the training text is {available} tokens, smaller than one window of {length} and the token after it",
            fix="add documents, relax the policy, or set a smaller model.context",
        )
    for number, segment in enumerate(segments):
        where = f"segment {number} (from example {segment.example})"
        if number and segment.example <= segments[number - 1].example:
            raise RecipeError("segments are not in order", where=where, fix="sort them by example")
        if segment.length < 1 or superblock % segment.length:
            raise RecipeError(
                f"its length {segment.length} does not divide the superblock of {superblock} tokens",
                where=where,
                fix="choose lengths that divide the longest context of the recipe",
            )
        if segment.batch < 1:
            raise RecipeError(f"a batch of {segment.batch} examples", where=where, fix="use at least one example")
        if unknown := sorted(segment.weights.keys() - strata.keys()):
            raise DataError(f"its weights name strata {unknown} that have no training tokens", where=where)
        values = segment.weights.values()
        if not all(math.isfinite(weight) and weight >= 0 for weight in values) or not sum(values) > 0:
            raise DataError("its weights are not numbers from 0 up, one at least above 0", where=where)


@dataclass(frozen=True)
class Piece:
    """Examples ``first`` to ``stop`` that one table orders; ``cursors`` (int64 ``[S]``) count the items before it.

    Items are counted in windows of ``length``, through all epochs.
    """

    first: int
    stop: int
    length: int
    table: Table
    cursors: np.ndarray

    def items(self, examples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The (stratum index, item) of each example."""
        strata, items = self.table.items(examples - self.first)
        return strata, items + self.cursors[strata]

    def examples(self, stratum: int, items: np.ndarray) -> np.ndarray:
        """The examples of one stratum's items; items outside of the piece give examples outside of it."""
        return self.first + self.table.places(stratum, items - self.cursors[stratum])

    def cursors_at(self, example: int) -> np.ndarray:
        """Items of each stratum before ``example``, int64 ``[S]``."""
        return self.cursors + self.table.counts(example - self.first)


@dataclass(frozen=True)
class Grid:
    """Steps of ``batch`` examples each from (``step``, ``first``) on, up to the example ``stop``.

    Only the last step may be smaller: where the examples end, or before a change of length.
    """

    step: int
    first: int
    stop: int
    batch: int
    length: int

    def span(self, step: int) -> tuple[int, int]:
        """The (first example, count) of a step of this grid; the count is 0 or less beyond its end."""
        first = self.first + (step - self.step) * self.batch
        return first, min(self.batch, self.stop - first)

    def steps_to(self, example: int) -> int:
        """The number of the step that begins at or after ``example``."""
        return self.step + -(-(example - self.first) // self.batch)
