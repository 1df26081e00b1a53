"""How strata take turns: a fixed table of one block of examples, proportional in every prefix.

Each stratum has a quota of the block. Item j (from 0) of a stratum with quota q out of n may stand no earlier than slot
⌊j·n/q⌋ and before slot ⌈(j + 1)·n/q⌉; the earliest deadline goes first, ties by stratum. These are the windows of Pfair
scheduling (Baruah, Cohen, Plaxton and Varvel 1996, "Proportionate progress", section 3; for one machine Steiner and
Yeomans 1993): every prefix holds each stratum's share to within less than one item, however many strata there are.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np

from seedstock.errors import DataError

BLOCK = 65_536


def quotas(weights: list[float], total: int) -> tuple[int, ...]:
    """Largest-remainder shares of ``total`` items, at least one wherever the weight is above zero.

    Exact rational arithmetic: the same weights give the same quotas on every machine. Raises DataError where there are
    more strata than items.
    """
    exact = [Fraction(weight) for weight in weights]
    alive = [s for s, weight in enumerate(exact) if weight > 0]
    if len(alive) > total:
        raise DataError(
            f"{len(alive)} strata are more than the {total} that one block of examples can hold",
            fix="merge small sources or languages, or give the smallest a weight of 0",
        )
    result = [0] * len(exact)
    while alive:
        room, sum_ = total - sum(result), sum(exact[s] for s in alive)
        small = [s for s in alive if exact[s] * room < sum_]
        for s in small:
            result[s] = 1
        alive = [s for s in alive if result[s] == 0]
        if small:
            continue
        for s in alive:
            result[s] = int(exact[s] * room / sum_)
        by_remainder = sorted(alive, key=lambda s: (result[s] - exact[s] * room / sum_, s))
        for s in by_remainder[: total - sum(result)]:
            result[s] += 1
        break
    return tuple(result)


@dataclass(frozen=True, eq=False)
class Table:
    """One block: ``strata[k]`` and ``ranks[k]`` say whose item stands in slot k, and which of its items it is.

    ``slots[offsets[s] : offsets[s + 1]]`` are the slots of stratum s, in order; ``quotas`` (int64) their number.
    """

    quotas: np.ndarray
    strata: np.ndarray
    ranks: np.ndarray
    slots: np.ndarray
    offsets: np.ndarray

    @property
    def size(self) -> int:
        """Slots of the block."""
        return len(self.strata)

    def items(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The (stratum, item number since the first block began) of each place, int64."""
        block, slot = np.divmod(places, self.size)
        strata = self.strata[slot].astype(np.int64)
        return strata, block * self.quotas[strata] + self.ranks[slot]

    def places(self, stratum: int, items: np.ndarray) -> np.ndarray:
        """The inverse of ``items`` for one stratum."""
        block, rank = np.divmod(items, self.quotas[stratum])
        return block * self.size + self.slots[self.offsets[stratum] + rank]

    def counts(self, places: int) -> np.ndarray:
        """Items of each stratum among the first ``places`` places, int64."""
        block, slot = divmod(places, self.size)
        return block * self.quotas + np.bincount(self.strata[:slot], minlength=len(self.quotas))


@lru_cache(maxsize=256)
def table(quota: tuple[int, ...]) -> Table:
    """The block in which stratum s has ``quota[s]`` slots."""
    quotas = np.array(quota, np.int64)
    strata = _turns(quotas)
    slots = np.argsort(strata, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(quotas)])
    ranks = np.empty(len(strata), np.int32)
    ranks[slots] = np.arange(len(strata)) - np.repeat(offsets[:-1], quotas)
    return Table(quotas, strata, ranks, slots.astype(np.int32), offsets)


def _turns(quotas: np.ndarray) -> np.ndarray:
    """Whose turn it is in each slot: earliest deadline first among the items that have been released."""
    size, count = int(quotas.sum()), len(quotas)
    owner = np.repeat(np.arange(count), quotas)
    if np.count_nonzero(quotas) < 2:
        return owner.astype(np.int32)
    item = np.arange(size) - np.repeat(np.cumsum(quotas) - quotas, quotas)
    release = item * size // quotas[owner]
    deadline = -(-(item + 1) * size // quotas[owner])
    order = np.argsort(release, kind="stable")
    keys = (deadline * count + owner)[order].tolist()
    arrivals = np.searchsorted(release[order], np.arange(size), "right").tolist()
    waiting: list[int] = []
    turns, arrived = [0] * size, 0
    for slot, until in enumerate(arrivals):
        for key in keys[arrived:until]:
            heapq.heappush(waiting, key)
        arrived = until
        turns[slot] = heapq.heappop(waiting) % count
    return np.array(turns, np.int32)
