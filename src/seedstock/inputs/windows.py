"""The order of the windows of one stratum: item number ↔ (epoch, start), for any window length.

A stratum's stream of N tokens is cut into superblocks of B tokens (the last one shorter). Every epoch permutes the
superblocks; G neighbours in that order are a group, and the windows inside a group are permuted once more. The
grouping does not depend on the window length, so that the length may change on a group boundary without a loss.
An epoch of windows of length L has ⌈(N - 1) / L⌉ items: every token that has a successor is an input once.
"""

from __future__ import annotations

import numpy as np

from seedstock.inputs import permutation
from seedstock.inputs.keys import derive


class Windows:
    """The windows of all strata of a plan; ``s`` below is an index into ``tokens``, an array like the other arguments.

    ``numbers`` are the strata's numbers, which key their permutations; ``tokens`` their stream lengths, at least 2.
    """

    def __init__(self, numbers: list[int], tokens: list[int], *, seed: int, superblock: int, group: int) -> None:
        self.tokens = np.array(tokens, np.int64)
        self.superblock, self.group = superblock, group
        self.superblocks = -(-(self.tokens - 1) // superblock)
        rounds = permutation.ROUNDS
        self._outer = np.stack([derive(seed, "superblocks", n, count=rounds) for n in numbers], axis=1)
        self._inner = np.stack([derive(seed, "windows", n, count=rounds) for n in numbers], axis=1)

    def per_epoch(self, length: int) -> np.ndarray:
        """Windows of ``length`` in one epoch of each stratum, int64 ``[S]``."""
        return -(-(self.tokens - 1) // length)

    def locate(self, s: np.ndarray, items: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
        """The (epoch, start in the stream) of items, int64 ``[E]``."""
        epoch, rank = np.divmod(items, self.per_epoch(length)[s])
        full = self.superblock // length
        group, rank, size, short, gap = self._split(s, epoch, rank, length)
        window = permutation.permute(rank, size, self._inner[:, s], self._tweak(epoch, group))
        window += np.where(short & (window >= gap), self._missing(length)[s], 0)
        order = group * self.group + window // full
        block = permutation.permute(order, self.superblocks[s], self._outer[:, s], epoch)
        return epoch, block * self.superblock + window % full * length

    def find(self, s: np.ndarray, epoch: np.ndarray, position: np.ndarray, length: int) -> np.ndarray:
        """The item of ``epoch`` in which a position of the stream is an input; the inverse of ``locate``."""
        full = self.superblock // length
        block, inside = np.divmod(position, self.superblock)
        order = permutation.invert(block, self.superblocks[s], self._outer[:, s], epoch)
        group = order // self.group
        window = order % self.group * full + inside // length
        size, short, gap = self._sizes(s, epoch, group, length)
        window -= np.where(short & (window >= gap), self._missing(length)[s], 0)
        rank = permutation.invert(window, size, self._inner[:, s], self._tweak(epoch, group))
        return epoch * self.per_epoch(length)[s] + self._group_start(s, epoch, group, length) + rank

    def left_in_group(self, s: np.ndarray, items: np.ndarray, length: int) -> np.ndarray:
        """How many items finish the group that a cursor stands in: 0 on a group boundary."""
        epoch, rank = np.divmod(items, self.per_epoch(length)[s])
        _, rank, size, _, _ = self._split(s, epoch, rank, length)
        return np.where(rank == 0, 0, size - rank)

    def convert(self, s: np.ndarray, items: np.ndarray, old: int, new: int) -> np.ndarray:
        """A cursor on a group boundary at one length, as the same place at another length."""
        epoch, rank = np.divmod(items, self.per_epoch(old)[s])
        group, _, _, _, _ = self._split(s, epoch, rank, old)
        return epoch * self.per_epoch(new)[s] + self._group_start(s, epoch, group, new)

    @staticmethod
    def _tweak(epoch: np.ndarray, group: np.ndarray) -> np.ndarray:
        return epoch << 32 | group

    def _missing(self, length: int) -> np.ndarray:
        """Windows that the last, shorter superblock of each stratum lacks."""
        return self.superblocks * (self.superblock // length) - self.per_epoch(length)

    def _last(self, s: np.ndarray, epoch: np.ndarray, length: int) -> np.ndarray:
        """Where the shorter superblock stands in the epoch's order; beyond every order where none lacks a window."""
        place = np.full(s.shape, np.iinfo(np.int64).max, np.int64)
        some = np.flatnonzero(self._missing(length)[s])
        if some.size:
            size = self.superblocks[s[some]]
            place[some] = permutation.invert(size - 1, size, self._outer[:, s[some]], epoch[some])
        return place

    def _group_start(self, s: np.ndarray, epoch: np.ndarray, group: np.ndarray, length: int) -> np.ndarray:
        missing = np.where(group > self._last(s, epoch, length) // self.group, self._missing(length)[s], 0)
        return group * self.group * (self.superblock // length) - missing

    def _sizes(
        self, s: np.ndarray, epoch: np.ndarray, group: np.ndarray, length: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Windows of a group, whether it holds the shorter superblock, and from which window on that one lacks."""
        full, missing = self.superblock // length, self._missing(length)[s]
        last = self._last(s, epoch, length)
        short = last // self.group == group
        blocks = np.minimum((group + 1) * self.group, self.superblocks[s]) - group * self.group
        gap = np.where(short, last % self.group * full + full - missing, 0)
        return blocks * full - np.where(short, missing, 0), short, gap

    def _split(
        self, s: np.ndarray, epoch: np.ndarray, rank: np.ndarray, length: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """A rank in an epoch as (group, rank in it), with the group's ``_sizes``."""
        full, missing = self.group * (self.superblock // length), self._missing(length)[s]
        last = self._last(s, epoch, length)
        short_group = np.where(missing > 0, last // self.group, np.iinfo(np.int32).max)
        group = np.where(rank < (short_group + 1) * full - missing, rank, rank + missing) // full
        rank = rank - group * full + np.where(group > short_group, missing, 0)
        return group, rank, *self._sizes(s, epoch, group, length)
