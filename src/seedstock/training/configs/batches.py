"""A batch that grows at the beginning of a run, as recipes write it. Free of torch."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import Field

from seedstock.config import Config, Fraction
from seedstock.training.configs.schedule import Span, steps_of

Batches = tuple[tuple[int, int], ...]
"""(first step, examples a step), by step: each holds until the next begins."""


class BatchWarmupConfig(Config):
    """Fewer examples a step at first (Brown et al. 2020, arXiv 2005.14165, table D.1 and section 2.3, for GPT-3).

    Over the first ``over`` of the run (a share of its steps, or steps) the batch rises in ``phases`` of equally many
    steps, evenly from ``first`` of the full batch. Each phase is a segment of the data plan. Rates stay as they are.
    """

    over: Span = 0.1
    first: Annotated[Fraction, Field(gt=0, lt=1)] = 0.25
    phases: Annotated[int, Field(ge=1, le=64)] = 4

    def batches(self, full: int, steps: int) -> Batches:
        """The phases of a run of ``steps`` steps with ``full`` examples in the end; equal neighbours are one."""
        over = steps_of(self.over, steps)
        phases = min(self.phases, over)
        shares = [self.first + (1 - self.first) * n / phases for n in range(phases)]
        rising = [(n * over // phases, max(1, round(full * share))) for n, share in enumerate(shares)]
        found = [(start, size) for start, size in (*rising, (over, full)) if start < steps]
        return (found[0], *(later for one, later in pairwise(found) if later[1] != one[1]))


def examples_before(batches: Batches, step: int) -> int:
    """How many examples the steps before ``step`` have."""
    ends = [start for start, _ in batches[1:]] + [step]
    return sum(size * max(0, min(step, end) - start) for (start, size), end in zip(batches, ends, strict=True))
