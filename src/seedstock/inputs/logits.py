"""A teacher's next-token distributions over windows of the training stream, on disk: the likeliest tokens and the rest.

```
index.json        {format, teacher, shards (folder of the store), length, k, temperature, vocab_size, windows}
windows.npy       int64 [W, 2]: (stratum, start), sorted
ids.npy           uint16 or uint32 [W, length, k]: the likeliest tokens, the likeliest first
logs.npy          float16 [W, length, k + 1]: their log-probabilities, then that of all other tokens together
```

The distribution at a position is that of the token after it. A window is found by where it lies, never by an example's
number: epochs, splits of a batch and resumes read the same. Needs numpy alone.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seedstock.errors import IntegrityError, RecipeError
from seedstock.inputs.write import dtype_of
from seedstock.ledger.files import read_json

if TYPE_CHECKING:
    from seedstock.inputs.plan import DataPlan

STAGE = "logits"
FORMAT = 1
TOGETHER = 1 << 16  # examples that are looked up at once


def a_token(k: int, vocab_size: int) -> int:
    """Bytes on disk for each position of a window."""
    return k * dtype_of(vocab_size).itemsize + 2 * (k + 1)


def places(plan: DataPlan, steps: int) -> tuple[np.ndarray, int]:
    """The windows that ``steps`` steps read, int64 ``[W, 2]`` (stratum, start), sorted, each once; and their length.

    Raises RecipeError where they are not all of one length: a window that begins elsewhere has another distribution.
    """
    first, count = plan.examples(steps - 1)
    found, lengths = [np.zeros((0, 2), np.int64)], set()
    for start in range(0, first + count, TOGETHER):
        located = plan.locate(np.arange(start, min(start + TOGETHER, first + count)))
        found.append(np.unique(np.stack([located.strata, located.starts], axis=1), axis=0))
        lengths |= set(np.unique(located.lengths).tolist())
    if len(lengths) != 1:
        raise RecipeError(
            "windows of several lengths cannot be stored once",
            where="objective.stored",
            fix="leave `stored` out, or give the mixture's schedule one length",
        )
    return np.unique(np.concatenate(found), axis=0), lengths.pop()


class Stored:
    """A folder of stored distributions. Arrays are memory-mapped at first use."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.index: dict[str, Any] = read_json(self.folder / "index.json")
        if self.index.get("format") != FORMAT:
            raise IntegrityError("unknown format of logits", where=self.folder, fix="use a newer Seedstock")
        self.k, self.length = int(self.index["k"]), int(self.index["length"])

    def read(self, strata: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(ids int32 ``[B, length, k]``, log-probabilities float16 ``[B, length, k + 1]``) of windows.

        Raises IntegrityError where one was not stored.
        """
        rows = np.searchsorted(self._keys, _keys(strata, starts))
        rows = np.minimum(rows, len(self._keys) - 1)
        if not np.array_equal(self._keys[rows], _keys(strata, starts)):
            raise IntegrityError(
                "a window that the plan reads has no stored logits",
                where=self.folder,
                fix="give the recipe a run of its own with --name: it stores what its plan reads",
            )
        return self.ids[rows].astype(np.int32), self.logs[rows]

    @cached_property
    def windows(self) -> np.ndarray:
        """int64 ``[W, 2]``: (stratum, start)."""
        return self._open("windows.npy", (int(self.index["windows"]), 2))

    @cached_property
    def ids(self) -> np.ndarray:
        """``[W, length, k]``."""
        return self._open("ids.npy", (int(self.index["windows"]), self.length, self.k))

    @cached_property
    def logs(self) -> np.ndarray:
        """``[W, length, k + 1]``."""
        return self._open("logs.npy", (int(self.index["windows"]), self.length, self.k + 1))

    @cached_property
    def _keys(self) -> np.ndarray:
        return _keys(self.windows[:, 0], self.windows[:, 1])

    def _open(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        path = self.folder / name
        try:
            found = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise IntegrityError(f"not readable: {error}", where=path, fix="restore it from a copy") from None
        if found.shape != shape:
            raise IntegrityError(f"its shape is {found.shape}, {shape} recorded", where=path, fix="restore it")
        return found


def _keys(strata: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """One number a window, in the order of (stratum, start): streams have fewer than 2^44 tokens."""
    return (np.asarray(strata, np.int64) << 44) + np.asarray(starts, np.int64)
