"""Batches of items by step, and the held-out items: what ``Loader`` and ``HeldOut`` are for windows of tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from seedstock.inputs.items.shards import PRESENT, ItemShards
from seedstock.inputs.keys import Keys
from seedstock.inputs.loader import Batch, Loader, example_digests, hand_over


class ItemLoader(Loader):
    """Gives rank ``rank`` of ``world`` its part of every step's items; a plan over items has windows of one.

    A batch has ``examples``, ``strata`` and ``starts`` int64 ``[B]``, ``digests`` uint8 ``[B, 16]`` of what is stored,
    and every field of the items, ``[B, …]``; ``present`` (bool ``[B]``) is false where an item was erased.
    """

    shards: ItemShards

    def _make(self, step: int, tokens: int) -> dict[int, Batch]:
        return super()._make(step, 1)  # items are large: one step at a time

    def _assemble(self, examples: np.ndarray, length: int) -> Batch:
        located = self.plan.locate(examples)
        made = gather(self.shards, "train", located.strata, located.starts)
        return {"examples": examples, "strata": located.strata, "starts": located.starts, **made}


def gather(shards: ItemShards, split: str, strata: np.ndarray, numbers: np.ndarray) -> Batch:
    """Items of several strata (int64 ``[B]`` each) by field, with their digests."""
    fields = {name: np.empty((len(strata), *field.shape), field.dtype) for name, field in shards.fields.items()}
    for stratum in np.unique(strata).tolist():
        rows = np.flatnonzero(strata == stratum)
        for name, values in shards.items(split, stratum, numbers[rows]).items():
            fields[name][rows] = values
    flat = [np.ascontiguousarray(values).reshape(len(strata), -1).view(np.uint8) for values in fields.values()]
    digests = example_digests(strata, numbers, np.concatenate(flat, axis=1))
    return {**fields, PRESENT: fields[PRESENT].astype(bool), "digests": digests}


class HeldOutItems:
    """Every item of a split, numbered from 0, as ``prepare`` makes examples of them; ``limit`` takes some, evenly.

    What ``prepare`` and the objective draw is keyed by the item's number: the same at every call.
    """

    def __init__(
        self,
        shards: ItemShards,
        *,
        prepare: Callable[[Batch, Keys], Batch],
        seed: int = 0,
        split: str = "held_out",
        limit: int | None = None,
    ) -> None:
        self.shards, self.prepare, self.seed, self.split = shards, prepare, seed, split
        sizes = [(stratum.stratum, stratum.tokens) for stratum in shards.strata(split)]
        strata = [np.full(size, stratum, np.int64) for stratum, size in sizes]
        self.strata = np.concatenate(strata) if strata else np.zeros(0, np.int64)
        self.starts = np.concatenate([np.arange(size) for _, size in sizes]) if sizes else np.zeros(0, np.int64)
        self.numbers = np.arange(len(self.strata))
        if limit is not None and max(1, limit) < len(self.numbers):
            self.numbers = np.linspace(0, len(self.numbers) - 1, max(1, limit)).astype(np.int64)

    def batches(self, size: int, prepare: Callable[[Batch, Keys], Any] | None = None) -> Iterator[Batch]:
        """Batches of up to ``size`` items: the keys of ``ItemLoader.batch``."""
        for start in range(0, len(self.numbers), size):
            numbers = self.numbers[start : start + size]
            strata, starts = self.strata[numbers], self.starts[numbers]
            batch = {"examples": numbers, "strata": strata, "starts": starts}
            made = gather(self.shards, self.split, strata, starts)
            yield hand_over({**batch, **made}, prepare or self.prepare, self.seed)
