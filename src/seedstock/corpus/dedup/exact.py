"""Equal texts, by their digests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa


def number(digests: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """(number of each row's text, int64 [rows]; the first row of each text, int64 [texts]), in order of appearance."""
    texts = digests.combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
    _, firsts = np.unique(texts, return_index=True)
    return texts, firsts.astype(np.int64)
