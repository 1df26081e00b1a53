"""Partners: other windows of the data plan that an example is handed, a keyed pairing that can be turned round.

Examples are paired inside blocks of ``BLOCK``: a keyed permutation lays a block out in a ring, and the partners of an
example are those that follow it there. So nobody is its own partner (in a block of more than ``partners``), and every
window is a partner as often as it is an example.
"""

from __future__ import annotations

import numpy as np

from seedstock.inputs import permutation
from seedstock.inputs.keys import derive

BLOCK = 4096


def partners(seed: int, examples: np.ndarray, count: int, capacity: int | None = None) -> np.ndarray:
    """The partners' example numbers, int64 ``[E, count]``, of ``examples`` ``[E]``; ``capacity`` is the plan's."""
    return _follow(seed, examples, 1 + np.arange(count), capacity)


def readers(seed: int, examples: np.ndarray, count: int, capacity: int | None = None) -> np.ndarray:
    """The inverse: the examples ``[E, count]`` that have each of ``examples`` for a partner."""
    return _follow(seed, examples, -1 - np.arange(count), capacity)


def block_end(examples: int, capacity: int | None = None) -> int:
    """Where the last block ends that the first ``examples`` examples touch: partners come from before it."""
    end = -(-examples // BLOCK) * BLOCK
    return end if capacity is None else min(end, capacity)


def _follow(seed: int, examples: np.ndarray, moves: np.ndarray, capacity: int | None) -> np.ndarray:
    examples = np.asarray(examples, np.int64)
    block = examples // BLOCK
    size = np.full(examples.shape, BLOCK) if capacity is None else np.minimum(BLOCK, capacity - block * BLOCK)
    keys = derive(seed, "partners", count=permutation.ROUNDS)[:, None]
    place = permutation.invert(examples - block * BLOCK, size, keys, block)
    found = [permutation.permute((place + move) % size, size, keys, block) + block * BLOCK for move in moves]
    return np.stack(found, axis=1) if found else np.zeros((len(examples), 0), np.int64)
