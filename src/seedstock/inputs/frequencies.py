"""How often each token is in the training split."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from seedstock.inputs.shards import Shards

TOGETHER = 1 << 22  # tokens


def frequencies(shards: Shards, split: str = "train") -> np.ndarray:
    """Occurrences of every id, int64 ``[vocab_size]``; 0 for special tokens. Reads the whole split once."""
    found = np.zeros(shards.vocab_size, np.int64)
    for stratum in shards.strata(split):
        for start in range(0, stratum.tokens, TOGETHER):
            length = min(TOGETHER, stratum.tokens - start)
            row = shards.read(split, stratum.stratum, np.array([start]), length)[0]
            found += np.bincount(row, minlength=shards.vocab_size)
    found[list(shards.specials.values())] = 0
    return found
