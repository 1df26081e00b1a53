"""The windows of a split in the order in which they are stored: what an objective's own loss is measured on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from seedstock.inputs.keys import Keys
from seedstock.inputs.loader import Batch, hand_over, windows
from seedstock.inputs.partners import partners
from seedstock.inputs.shards import Shards


class HeldOut:
    """Every window of ``window`` tokens of a split, numbered from 0, as ``prepare`` makes examples of them.

    A stratum's last window may be shorter than the rest and is padded. ``limit`` (tokens) takes windows at even
    distances. What ``prepare`` and the objective draw is keyed by the window's number: the same at every call.
    """

    def __init__(
        self,
        shards: Shards,
        *,
        window: int,
        raw_length: int,
        prepare: Callable[[Batch, Keys], Batch],
        partners: int = 0,
        seed: int = 0,
        split: str = "held_out",
        limit: int | None = None,
    ) -> None:
        self.shards, self.prepare, self.seed, self.split = shards, prepare, seed, split
        self.raw_length, self.partners = raw_length, partners
        places = [
            (stratum.stratum, start)
            for stratum in shards.strata(split)
            for start in range(0, max(0, stratum.tokens - 1), window)
        ]
        self.places = np.array(places, np.int64).reshape(-1, 2)
        self.numbers = np.arange(len(places))
        wanted = len(places) if limit is None else max(1, limit // window)
        if wanted < len(places):
            self.numbers = np.linspace(0, len(places) - 1, wanted).astype(np.int64)

    def batches(self, size: int) -> Iterator[Batch]:
        """Batches of up to ``size`` windows: the keys of ``Loader.batch``."""
        for start in range(0, len(self.numbers), size):
            numbers = self.numbers[start : start + size]
            rows = self._with_partners(numbers)
            strata, starts = self.places[rows, 0], self.places[rows, 1]
            made = windows(self.shards, self.split, strata, starts, self.raw_length)
            batch = {"examples": numbers, "strata": strata[:, 0], "starts": starts[:, 0], **made}
            yield hand_over(batch, self.prepare, self.seed)

    def _with_partners(self, numbers: np.ndarray) -> np.ndarray:
        own = numbers[:, None]
        if not self.partners:
            return own
        return np.concatenate([own, partners(self.seed, numbers, self.partners, len(self.places))], axis=1)
