"""One process's part of every batch."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


class Part:
    """A loader's batches, cut to part ``part`` of ``parts``: parts differ by one example at most, and may have none.

    A loader that knows of ranks makes its part alone; from any other the whole batch is taken and cut.
    """

    def __init__(self, loader: Any, part: int, parts: int) -> None:
        self.whole, self.part, self.parts = loader, part, parts
        if hasattr(loader, "plan"):
            self.plan = loader.plan
        if hasattr(loader, "rank") and hasattr(loader, "world"):
            self.own = copy.copy(loader)
            self.own.rank, self.own.world, self.own._made, self.own._following = part, parts, {}, -1
            make = self.own.batch
            # Objectives are never asked to prepare nothing.
            self.own.batch = lambda step: make(step) if self.plan.examples(step)[1] >= parts else self._cut(step)
            self.batch, self.iterate = self.own.batch, self.own.iterate  # type: ignore[method-assign]

    def batch(self, step: int) -> Arrays:
        """This part of a step."""
        return self._cut(step)

    def iterate(self, first: int, last: int) -> Iterator[Arrays]:
        """This part of steps [first, last), ahead of time where the loader does that."""
        return map(self.batch, range(first, last))

    def _cut(self, step: int) -> Arrays:
        arrays = self.whole.batch(step)
        count = len(arrays["examples"])
        rows = slice(count * self.part // self.parts, count * (self.part + 1) // self.parts)
        return {name: array[rows] if array.ndim and len(array) == count else array for name, array in arrays.items()}
