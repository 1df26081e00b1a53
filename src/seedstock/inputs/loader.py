"""Batches by step: the data plan says which windows, the shards give their tokens, each example is digested.

A batch is a pure function of the step (and of rank and world size): a loader has no state but the step's number.
"""

from __future__ import annotations

import hashlib
import math
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from seedstock.inputs.keys import Keys
from seedstock.inputs.partners import partners
from seedstock.inputs.plan import DataPlan
from seedstock.inputs.shards import Shards

Batch = dict[str, Any]
AHEAD = 4  # batches prepared in the background
TOGETHER = 1 << 16  # tokens of successive steps that are made together: numpy's calls would slow small batches


class Loader:
    """Gives rank ``rank`` of ``world`` its part of every step's examples.

    ``raw_length`` is how many tokens to read from each window's start: a number, or a function of the window length
    (default: one more than the window, for the last target). ``prepare(items, keys)`` is the objective's hook: it is
    handed the batch and ``Keys`` of its examples, and returns the arrays that the objective wants instead. With
    ``partners``, ``prepare`` finds the windows of that many other examples beside each example's own.
    """

    def __init__(
        self,
        shards: Shards,
        plan: DataPlan,
        *,
        prepare: Callable[[Batch, Keys], Batch] | None = None,
        raw_length: int | Callable[[int], int] | None = None,
        partners: int = 0,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if not 0 <= rank < world:
            raise ValueError(f"rank {rank} of {world}")
        self.shards, self.plan, self.prepare, self.seed = shards, plan, prepare, seed
        self.rank, self.world = rank, world
        self._raw_length, self.partners = raw_length, partners
        self._made: dict[int, Batch] = {}
        self._following = -1

    def part(self, count: int) -> tuple[int, int]:
        """Which of a step's ``count`` examples are this rank's: [from, to). Parts differ by at most one example."""
        return count * self.rank // self.world, count * (self.rank + 1) // self.world

    def batch(self, step: int) -> Batch:
        """This rank's part of a step, by example number.

        ``examples``, ``strata``, ``starts`` int64 ``[B]``; ``tokens``, ``documents``, ``positions`` int64
        ``[B, raw_length]`` (see ``Shards.boundaries``; document -1 is padding, or was erased), and of partners
        ``partner_tokens`` ``[B, partners, raw_length]`` and so on, if there are any; ``digests`` uint8 ``[B, 16]``;
        where the shards hold scores, ``scores`` float32 ``[B, raw_length, names]`` of each token's document (or NaN).
        Raises DataError beyond the plan's capacity.
        """
        known = self._made.pop(step, None)  # handed out once, so that nobody can change what another call returns
        if known is None:
            made = self._make(step, TOGETHER if step == self._following else 1)
            known, self._made = made.pop(step), made
        self._following = step + 1
        if self.prepare is None:
            return known
        return hand_over(known, self.prepare, self.seed)

    def iterate(self, first_step: int, last_step: int) -> Iterator[Batch]:
        """The batches of steps [first_step, last_step), made ahead of time by one background thread."""
        pool = ThreadPoolExecutor(1, thread_name_prefix="loader")
        waiting: deque[Future[Batch]] = deque()
        try:
            for step in range(first_step, last_step):
                waiting.append(pool.submit(self.batch, step))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _length(self, window: int) -> int:
        if callable(self._raw_length):
            return self._raw_length(window)
        return window + 1 if self._raw_length is None else self._raw_length

    def _make(self, step: int, tokens: int) -> dict[int, Batch]:
        """This rank's part of ``step``, and of the steps after it while they are fewer than ``tokens`` together."""
        window = self.plan.length(step)
        length = self._length(window)
        ranges = [self._examples(step)]
        while (tokens := tokens - max(len(ranges[-1]), 1) * length) > 0:
            following = step + len(ranges)
            if not self.plan.gives(following) or self.plan.length(following) != window:
                break
            ranges.append(self._examples(following))
        made = self._assemble(np.concatenate(ranges), length)
        ends = np.cumsum([len(own) for own in ranges])
        return {
            step + number: {name: array[end - len(own) : end] for name, array in made.items()}
            for number, (own, end) in enumerate(zip(ranges, ends, strict=True))
        }

    def _examples(self, step: int) -> np.ndarray:
        first, count = self.plan.examples(step)
        low, high = self.part(count)
        return np.arange(first + low, first + high)

    def _assemble(self, examples: np.ndarray, length: int) -> Batch:
        located = self.plan.locate(examples)
        strata, starts = located.strata, located.starts
        if not self.partners:
            return {"examples": examples, "strata": strata, "starts": starts} | windows(
                self.shards, "train", strata[:, None], starts[:, None], length
            )
        others = self.plan.locate(partners(self.plan.seed, examples, self.partners, self.plan.capacity).ravel())
        shape = (len(examples), self.partners)
        return {"examples": examples, "strata": strata, "starts": starts} | windows(
            self.shards,
            "train",
            np.concatenate([strata[:, None], others.strata.reshape(shape)], axis=1),
            np.concatenate([starts[:, None], others.starts.reshape(shape)], axis=1),
            length,
        )


def windows(shards: Shards, split: str, strata: np.ndarray, starts: np.ndarray, length: int) -> Batch:
    """The stored windows of examples: the first column's, and under ``partner_…`` the others'.

    ``strata`` and ``starts`` are ``[B, 1 + partners]``. The digests are over all of them.
    """
    stored = np.empty((*strata.shape, length), shards.dtype)
    documents, positions = np.empty(stored.shape, np.int64), np.empty(stored.shape, np.int64)
    names = shards.score_names
    scores = np.empty((*stored.shape, len(names)), np.float32) if names else None
    for stratum in np.unique(strata).tolist():
        rows = strata == stratum
        stored[rows] = shards.read(split, stratum, starts[rows], length)
        documents[rows], positions[rows] = shards.boundaries(split, stratum, starts[rows], length)
        if scores is not None:
            scores[rows] = shards.scores(split, stratum, starts[rows], length)
    documents[stored == shards.specials["pad"]] = -1  # padding, and what was erased
    made = {"digests": example_digests(strata, starts, stored, scores)}
    arrays = {"tokens": stored.astype(np.int64), "documents": documents, "positions": positions}
    for name, values in (arrays if scores is None else arrays | {"scores": scores}).items():
        made[name] = values[:, 0]
        if strata.shape[1] > 1:
            made[f"partner_{name}"] = values[:, 1:]
    return made


def hand_over(batch: Batch, prepare: Callable[[Batch, Keys], Batch], seed: int) -> Batch:
    """The batch as an objective prepares it: what it returns in the place of the windows, beside the record's part."""
    kept = {name: value for name, value in batch.items() if name in ("examples", "strata", "starts", "digests")}
    return {**prepare(batch, Keys(seed, batch["examples"])), **kept}


def example_digests(
    strata: np.ndarray, starts: np.ndarray, tokens: np.ndarray, scores: np.ndarray | None = None
) -> np.ndarray:
    """BLAKE2b-128 (RFC 7693) of each example as stored: stratum, start (8 bytes each) and tokens, little-endian.

    ``tokens`` are ``[B, raw_length]`` in the shards' type, before any cutting or corruption, ``strata`` and ``starts``
    ``[B]``; or ``[B, windows, raw_length]`` and ``[B, windows]``. ``scores`` (float32, an axis more than ``tokens``)
    come last where there are any. Returns uint8 ``[B, 16]``.
    """
    rows = [len(tokens), math.prod(tokens.shape[1:])]
    body = np.ascontiguousarray(tokens, tokens.dtype.newbyteorder("<")).reshape(rows).view(np.uint8)
    places = np.stack([strata, starts], axis=-1).astype("<i8")
    head = places.reshape(len(places), math.prod(places.shape[1:])).view(np.uint8)
    parts = [head, body]
    if scores is not None:
        fixed = np.where(np.isnan(scores), np.float32(np.nan), scores).astype("<f4")  # one NaN of the many
        parts.append(fixed.reshape(len(fixed), -1).view(np.uint8))
    found = b"".join(hashlib.blake2b(row, digest_size=16).digest() for row in np.concatenate(parts, axis=1))
    return np.frombuffer(found, np.uint8).reshape(-1, 16).copy()


def step_digest(previous: str, examples: np.ndarray, digests: np.ndarray) -> str:
    """What a step was fed, chained to what came before: SHA-256, hexadecimal.

    ``examples`` ``[B]`` and ``digests`` ``[B, 16]`` of all ranks, in any order: they are folded by example number.
    ``previous`` is the hexadecimal digest of the step before, or "" at the beginning.
    """
    order = np.argsort(examples, kind="stable")
    numbers = np.asarray(examples, "<i8")[order].view(np.uint8).reshape(-1, 8)
    rows = np.concatenate([numbers, np.asarray(digests, np.uint8)[order]], axis=1)
    return hashlib.sha256(bytes.fromhex(previous) + rows.tobytes()).hexdigest()
