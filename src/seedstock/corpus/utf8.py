"""The bytes of a batch of texts, and spans in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def raw(text: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """(bytes, offsets) of a large_string array without nulls: uint8, and int64 [texts + 1], both without a copy."""
    offsets = np.frombuffer(text.buffers()[1], np.int64)[text.offset : text.offset + len(text) + 1]
    data = text.buffers()[2]
    return np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8), offsets


def matching(text: pa.Array, pattern: str) -> list[int]:
    """The rows that an RE2 pattern matches: a quick look before a slow one."""
    return np.flatnonzero(pc.match_substring_regex(text, pattern).to_numpy(zero_copy_only=False)).tolist()


def spans(rows: int, found: Mapping[int, Sequence[tuple[int, int]]]) -> pa.Array:
    """A span column (``list<struct<start, end>>``) from the (start, end) pairs of the rows that have any."""
    counts = np.zeros(rows + 1, np.int32)
    for row, pairs in found.items():
        counts[row + 1] = len(pairs)
    flat = np.array([pair for row in sorted(found) for pair in found[row]], np.int64).reshape(-1, 2)
    pairs_ = pa.StructArray.from_arrays([pa.array(flat[:, 0]), pa.array(flat[:, 1])], names=["start", "end"])
    return pa.ListArray.from_arrays(pa.array(np.cumsum(counts, dtype=np.int32)), pairs_)
