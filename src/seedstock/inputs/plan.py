"""The data plan: example number ↔ (stratum, epoch, start, length), a pure function that can be sought and inverted.

What a step sees follows from the plan alone: nothing is logged, and a loader's state is one counter. A plan is a list
of segments. A change of weights or batch keeps every stratum's place. A change of length waits until every stratum
has finished the group of superblocks that it stands in: the plan inserts that drain by itself, at the old length and
batch (its last step may be smaller), and ``starts`` says where each segment really begins. That is so of a stratum
whose weight is 0 by then, too: what it has begun would otherwise be left out of its epoch. Where a stratum has been
seen ``max_repeats`` times its weight becomes 0.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from seedstock.errors import DataError, IntegrityError
from seedstock.inputs import interleave, segments
from seedstock.inputs.segments import NEVER, Grid, Piece, Segment
from seedstock.inputs.windows import Windows
from seedstock.ledger.ids import digest

if TYPE_CHECKING:
    from seedstock.inputs.config import MixtureConfig
    from seedstock.inputs.shards import Shards

FORMAT = 1
GROUP = 16
WHOLE = 1 << 18  # examples of an exact segment that one table may order


@dataclass(frozen=True)
class Located:
    """Where examples come from: int64 arrays ``[E]``. The window is stream positions [start, start + length)."""

    strata: np.ndarray
    epochs: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray


@dataclass(frozen=True)
class Exposure:
    """How much of a stratum was offered: examples, their windows in tokens, and how many passes its place comes to."""

    stratum: int
    examples: int
    epochs: float
    tokens: int = 0


class DataPlan:
    """The data plan over the train streams of ``strata`` (stratum number → tokens).

    ``superblock`` (tokens) defaults to the longest length of the segments; ``group`` is superblocks that are shuffled
    together, ``block`` the examples of one interleaving table; ``max_repeats`` None repeats for ever, and ``repeats``
    (stratum number → cap) stands in its place for some.
    Raises DataError where the streams together are smaller than one window.
    """

    def __init__(
        self,
        strata: Mapping[int, int],
        plan_segments: Sequence[Segment],
        *,
        seed: int,
        superblock: int | None = None,
        group: int = GROUP,
        block: int = interleave.BLOCK,
        max_repeats: int | None = None,
        repeats: Mapping[int, int | None] | None = None,
    ) -> None:
        self.strata = {stratum: tokens for stratum, tokens in sorted(strata.items()) if tokens >= 2}
        self.segments, self.seed = tuple(plan_segments), seed
        self.group, self.block, self.max_repeats = group, block, max_repeats
        self.repeats = {stratum: cap for stratum, cap in sorted((repeats or {}).items()) if stratum in self.strata}
        self.superblock = superblock or max((segment.length for segment in plan_segments), default=1)
        segments.check(self.segments, self.strata, self.superblock)
        self._numbers = np.array(list(self.strata), np.int64)
        self._index = {stratum: index for index, stratum in enumerate(self.strata)}
        self._windows = Windows(
            list(self.strata), list(self.strata.values()), seed=seed, superblock=self.superblock, group=group
        )
        self._cursors = np.zeros(len(self.strata), np.int64)
        self._base = self._cursors
        self._next = 0
        self._growing = threading.Lock()
        self._pieces: list[Piece] = []
        self._grids: list[Grid] = []
        self.starts: list[int] = []
        for segment in self.segments:
            self._begin(segment)
        self.capacity = self._capacity()
        self._grids[-1] = replace(self._grids[-1], stop=NEVER if self.capacity is None else self.capacity)

    @classmethod
    def of(
        cls,
        shards: Shards,
        mixture: MixtureConfig,
        *,
        seed: int,
        length: int | Sequence[tuple[int, int]],
        batch: int | Sequence[tuple[int, int]],
        superblock: int | None = None,
        steps: int | None = None,
    ) -> DataPlan:
        """The plan over the train split of ``shards`` of a mixture: one segment, or one for each of its phases.

        A ``batch`` that changes is a list of (first step, examples), a ``length`` that does one of (first step,
        tokens): each begins a segment of its own. Budgets, schedules and such lists need the number of ``steps``.
        """
        from seedstock.inputs import budgets
        from seedstock.inputs import lengths as several

        strata = shards.streams("train")
        tokens = {item.stratum: item.tokens for item in strata}
        lengths = [(0, length)] if isinstance(length, int) else [*length]
        given = {"max_repeats": mixture.max_repeats, "repeats": budgets.repeats(strata, mixture)}
        given |= {"superblock": superblock or max(one for _, one in lengths)}

        def make(made: Sequence[Segment]) -> DataPlan:
            return cls(tokens, made, seed=seed, **given)  # type: ignore[arg-type]

        if len(lengths) == 1:
            return make(budgets.segments(strata, mixture, length=lengths[0][1], batch=batch, steps=steps))
        batches = [(0, batch)] if isinstance(batch, int) else batch
        return make(several.segments(strata, mixture, make, lengths=lengths, batches=batches, steps=steps))

    def locate(self, examples: np.ndarray) -> Located:
        """Where examples (int64 ``[E]``, any order) come from. Raises DataError beyond the plan's capacity."""
        examples = np.asarray(examples, np.int64)
        if examples.size == 0:
            return Located(*(np.zeros(0, np.int64) for _ in range(4)))
        if examples.min() < 0:
            raise ValueError("example numbers begin at 0")
        self._require(int(examples.max()) + 1)
        strata, epochs, starts, lengths = (np.empty(examples.shape, np.int64) for _ in range(4))
        which = np.searchsorted([piece.first for piece in self._pieces], examples, "right") - 1
        for number in np.unique(which):
            piece, own = self._pieces[number], which == number
            strata[own], items = piece.items(examples[own])
            epochs[own], starts[own] = self._windows.locate(strata[own], items, piece.length)
            lengths[own] = piece.length
        return Located(self._numbers[strata], epochs, starts, lengths)

    def find(self, stratum: int, positions: np.ndarray, horizon: int) -> list[tuple[int, int]]:
        """The (epoch, example number) of every window in which one of ``positions`` is an input, by example number.

        Positions are places in the stratum's train stream; ``horizon`` is a number of examples from the beginning.
        """
        if stratum not in self._index:
            return []
        s = self._index[stratum]
        positions = np.unique(np.asarray(positions, np.int64))
        positions = positions[(positions >= 0) & (positions < self.strata[stratum] - 1)]
        horizon = horizon if self.capacity is None else min(horizon, self.capacity)
        self._grow(horizon)
        found: set[tuple[int, int]] = set()
        for piece in self._pieces:
            if piece.first >= horizon:
                break
            first = int(piece.cursors[s])
            stop = int(piece.cursors_at(min(piece.stop, horizon))[s])
            if first == stop or positions.size == 0:
                continue
            per_epoch = int(self._windows.per_epoch(piece.length)[s])
            starts = np.unique(positions // piece.length * piece.length)
            for epoch in range(first // per_epoch, (stop - 1) // per_epoch + 1):
                same = np.full(starts.shape, s, np.int64)
                items = self._windows.find(same, np.full(starts.shape, epoch, np.int64), starts, piece.length)
                items = items[(items >= first) & (items < stop)]
                found.update((epoch, int(example)) for example in piece.examples(s, items))
        return sorted(found, key=lambda pair: pair[1])

    def examples(self, step: int) -> tuple[int, int]:
        """The (first example, count) of a step. Raises DataError beyond the plan's capacity."""
        if step < 0:
            raise ValueError("steps begin at 0")
        grid = self._grid_of_step(step)
        first, count = grid.span(step)
        if count < 1:
            raise self._exhausted(f"step {step}")
        return first, count

    def gives(self, step: int) -> bool:
        """Whether a step is within the plan's capacity."""
        return self._grid_of_step(step).span(step)[1] > 0

    def step(self, example: int) -> int:
        """The step that an example belongs to."""
        if example < 0:
            raise ValueError("example numbers begin at 0")
        if self.capacity is not None and example >= self.capacity:
            raise self._exhausted(f"example {example}")
        grid = self._grids[bisect_right(self._grids, example, key=lambda grid: grid.first) - 1]
        return grid.step + (example - grid.first) // grid.batch

    def length(self, step: int) -> int:
        """The window length of a step."""
        return self._grid_of_step(step).length

    @property
    def longest(self) -> int:
        """The length of the longest windows."""
        return max(segment.length for segment in self.segments)

    def fullest(self) -> int:
        """The first step of those with the longest windows, and among them with most."""
        there = [grid for grid in self._grids if grid.stop > grid.first]
        return max(there, key=lambda grid: (grid.length, grid.batch, -grid.step)).step

    def steps(self) -> int | None:
        """How many whole steps the plan can give; None where it repeats for ever."""
        if self.capacity is None:
            return None
        grid = self._grids[-1]
        return grid.step + (self.capacity - grid.first) // grid.batch

    def require(self, steps: int) -> None:
        """Raises DataError that says how many steps are possible, where ``steps`` are more than that."""
        possible = self.steps()
        if possible is not None and steps > possible:
            raise self._exhausted(f"{steps} steps")

    def exposure(self, examples: int) -> list[Exposure]:
        """What the first ``examples`` examples offered of each stratum."""
        self._require(examples)
        (counts, tokens), epochs = np.zeros((2, len(self.strata)), np.int64), np.zeros(len(self.strata))
        for piece in self._pieces:
            if piece.first >= examples:
                break
            more = piece.table.counts(min(piece.stop, examples) - piece.first)
            counts, tokens = counts + more, tokens + more * piece.length
            epochs = piece.cursors_at(min(piece.stop, examples)) / self._windows.per_epoch(piece.length)
        rows = zip(self._numbers, counts, epochs, tokens, strict=True)
        return [Exposure(int(n), int(c), float(e), int(t)) for n, c, e, t in rows]

    def to_json(self) -> dict[str, Any]:
        """Everything that the plan follows from, for the record."""
        return {
            "format": FORMAT,
            "seed": self.seed,
            "superblock": self.superblock,
            "group": self.group,
            "block": self.block,
            "max_repeats": self.max_repeats,
            **({"repeats": {str(stratum): cap for stratum, cap in self.repeats.items()}} if self.repeats else {}),
            "strata": {str(stratum): tokens for stratum, tokens in self.strata.items()},
            "segments": [segment.to_json() for segment in self.segments],
        }

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> DataPlan:
        """The inverse of ``to_json``. Raises IntegrityError for a format that this version does not know."""
        if record.get("format") != FORMAT:
            raise IntegrityError("unknown data plan format", where="data plan", fix="use a newer Seedstock")
        return cls(
            {int(stratum): tokens for stratum, tokens in record["strata"].items()},
            [Segment.from_json(segment) for segment in record["segments"]],
            repeats={int(stratum): cap for stratum, cap in record.get("repeats", {}).items()},
            **{name: record[name] for name in ("seed", "superblock", "group", "block", "max_repeats")},
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return DataPlan.from_json, (self.to_json(),)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical ``to_json``: equal fingerprints, equal order."""
        return digest(self.to_json())

    def _begin(self, segment: Segment) -> None:
        """Goes on to the example where a segment starts, drains where it changes the length, and starts it."""
        if not self._grids:
            self._start(segment, step=0)
            return
        before = self._grids[-1]
        where = f"segment from example {segment.example}"
        if segment.example < self._next:
            raise DataError(
                f"the change of length before it ends at example {self._next}", where=where, fix="start later"
            )
        capacity = self._capacity()
        if capacity is not None and segment.example > capacity:
            raise self._exhausted(where, capacity)
        self._grow(segment.example, limit=segment.example)
        changed = (segment.batch, segment.length) != (before.batch, before.length)
        if not changed:
            self._segment, self._base = segment, self._cursors
            self.starts.append(self._next)
            return
        past = (segment.example - before.first) % before.batch
        if past:
            low = segment.example - past
            raise DataError(
                "a change of batch or length does not begin with a step",
                where=where,
                fix=f"start it at example {low} or {low + before.batch}",
            )
        if segment.length != before.length:
            self._drain(before.length, segment.length)
        self._grids[-1] = replace(before, stop=self._next)
        self._start(segment, step=before.steps_to(self._next))

    def _start(self, segment: Segment, step: int) -> None:
        self._segment, self._base = segment, self._cursors
        self.starts.append(self._next)
        self._grids.append(Grid(step, self._next, NEVER, segment.batch, segment.length))

    def _drain(self, old: int, new: int) -> None:
        """Finishes each stratum's started group at the old length; then counts its items at the new one."""
        every = np.arange(len(self.strata))
        left = self._windows.left_in_group(every, self._cursors, old)
        if left.any():
            table = interleave.table(tuple(left.tolist()))
            self._add(Piece(self._next, self._next + table.size, old, table, self._cursors))
        self._cursors = self._windows.convert(every, self._cursors, old, new)

    def _caps(self) -> np.ndarray:
        """The item at which each stratum is exhausted."""
        epoch = self._windows.per_epoch(self._segment.length)
        passes = [self.repeats.get(stratum, self.max_repeats) for stratum in self.strata]
        caps = np.array(
            [
                NEVER if cap is None else min(size * cap, NEVER)
                for size, cap in zip(epoch.tolist(), passes, strict=True)
            ],
            np.int64,
        )
        if not self._segment.exact:
            return caps
        wanted = np.array([int(self._segment.weights.get(stratum, 0)) for stratum in self.strata], np.int64)
        return np.minimum(caps, self._base + wanted)

    def _weights(self) -> list[float]:
        """The segment's weights without the strata that are exhausted."""
        left = self._caps() - self._cursors
        weights = self._segment.weights
        if self._segment.exact:
            return [float(left[s]) if weights.get(n, 0.0) > 0 else 0.0 for s, n in enumerate(self.strata)]
        return [weights.get(n, 0.0) if left[s] > 0 else 0.0 for s, n in enumerate(self.strata)]

    def _capacity(self) -> int | None:
        """How many examples there are if the present segment lasts: each of its strata is offered to its cap."""
        fed = [self._segment.weights.get(stratum, 0) > 0 for stratum in self.strata]
        caps = self._caps()
        if (caps[fed] == NEVER).any():
            return None
        return self._next + int(np.where(fed, caps - self._cursors, 0).sum())

    def _grow(self, examples: int, limit: int = NEVER) -> None:
        """Adds pieces until the first ``examples`` are covered; a piece ends at ``limit`` or where a stratum does."""
        with self._growing:  # a loader's thread and a question may ask at the same time
            while self._next < examples:
                weights, left = self._weights(), self._caps() - self._cursors
                whole = int(sum(weights)) if self._segment.exact else WHOLE + 1
                table = interleave.table(interleave.quotas(weights, whole if whole <= WHOLE else self.block))
                stop = limit
                if whole <= WHOLE:  # one table has it all
                    stop = min(limit, self._next + whole)
                elif (fed := np.flatnonzero((np.array(weights) > 0) & (left < NEVER // 2))).size:
                    ends = [int(table.places(s, left[s] - 1)) + 1 for s in fed.tolist()]
                    stop = min(limit, self._next + min(ends))
                self._add(Piece(self._next, stop, self._segment.length, table, self._cursors))

    def _add(self, piece: Piece) -> None:
        self._pieces.append(piece)
        self._next = piece.stop
        if piece.stop < NEVER:
            self._cursors = piece.cursors_at(piece.stop)

    def _require(self, examples: int) -> None:
        if self.capacity is not None and examples > self.capacity:
            raise self._exhausted(f"{examples} examples")
        self._grow(examples)

    def _grid_of_step(self, step: int) -> Grid:
        return self._grids[bisect_right(self._grids, step, key=lambda grid: grid.step) - 1]

    def _exhausted(self, asked: str, capacity: int | None = None) -> DataError:
        capacity = self.capacity if capacity is None else capacity
        grid = self._grids[-1]
        steps = grid.step + ((capacity or 0) - grid.first) // grid.batch
        if self._segment.exact:
            return DataError(
                f"{asked}: the budgets of mixture are for {capacity:,} examples, which is {steps:,} steps",
                fix="plan for the steps that are to be trained",
            )
        tokens = math.fsum(self.strata[n] for n, w in self._segment.weights.items() if w > 0)
        return DataError(
            f"{asked}: the {tokens:,.0f} training tokens, each seen at most "
            f"{'as often as its cap allows' if self.repeats else f'{self.max_repeats} times'}, give {capacity:,}"
            f" examples, which is {steps:,} steps",
            fix="add documents, train fewer steps, or raise mixture.max_repeats (null repeats for ever)",
        )
