"""Lengths and batches that change over a run, as recipes write them. Free of torch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any

from pydantic import Field, model_serializer

from seedstock.config import Config, Count, Fraction
from seedstock.training.configs.schedule import Span, steps_of

Batches = tuple[tuple[int, int], ...]
"""(first step, examples a step), by step: each holds until the next begins."""
Course = tuple[tuple[int, int, int], ...]
"""(first step, examples a step, tokens an example), by step: each holds until the next begins."""
Positive = Annotated[Count, Field(ge=1)]


class Phase(Config):
    """``{from: 90 %, length: 512}``: from a part of the run on, examples of another length, or another batch.

    ``length`` is ``model.context`` where it is not given, ``batch_tokens`` that of the run: so tokens a step stay level
    where the length alone changes.
    """

    start: Annotated[Fraction, Field(alias="from", lt=1)]
    length: Positive | None = None
    batch_tokens: Positive | None = None

    @model_serializer(mode="wrap")
    def _as_written(self, dump: Any) -> Any:
        found = dump(self)
        return {"from": found.pop("start", self.start), **found}

    def filled(self, context: int, batch_tokens: int) -> Phase:
        """With a length, and tokens a step that are whole examples of it."""
        length = self.length or context
        examples = max(1, round((self.batch_tokens or batch_tokens) / length))
        return self.model_copy(update={"length": length, "batch_tokens": examples * length})

    def examples(self) -> int:
        """Examples a step of a phase that is filled."""
        return (self.batch_tokens or 1) // (self.length or 1)


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
        return tuple((start, size) for start, size, _ in course(steps, [(0, full, 1)], self))

    def shares(self, steps: int) -> list[tuple[int, float]]:
        """The (first step, share of the full batch) of each phase, by step."""
        over = steps_of(self.over, steps)
        phases = min(self.phases, over)
        rising = [(n * over // phases, self.first + (1 - self.first) * n / phases) for n in range(phases)]
        return [*rising, (over, 1.0)]


def course(steps: int, full: Sequence[tuple[int, int, int]], warmup: BatchWarmupConfig | None) -> Course:
    """Full batches (first step, examples, length) of a run of ``steps`` steps, fewer examples during a ``warmup``;
    equal neighbours are one."""
    shares = warmup.shares(steps) if warmup else [(0, 1.0)]
    found: list[tuple[int, int, int]] = []
    for start in sorted({one[0] for one in full} | {one[0] for one in shares}):
        if start >= steps:
            break
        _, examples, length = next(one for one in reversed(full) if one[0] <= start)
        _, share = next(one for one in reversed(shares) if one[0] <= start)
        found.append((start, max(1, round(examples * share)), length))
    return (found[0], *(later for one, later in pairwise(found) if later[1:] != one[1:]))


def starts(phases: Sequence[Phase], steps: int) -> list[int]:
    """The first step of each phase in a run of ``steps``."""
    return [int(round(phase.start * steps, 6)) for phase in phases]


def examples_before(batches: Batches, step: int) -> int:
    """How many examples the steps before ``step`` have."""
    ends = [start for start, _ in batches[1:]] + [step]
    return sum(size * max(0, min(step, end) - start) for (start, size), end in zip(batches, ends, strict=True))
