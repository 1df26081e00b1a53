"""Pairs of segments for next-sentence prediction (Devlin et al. 2018, appendix A.2), in numpy on the loader's side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

Batch = dict[str, Any]


def prepare(items: Batch, keys: Any, specials: Mapping[str, int]) -> Batch:
    """``bos A sep B sep``: A begins the window's longest document, B goes on with it or, in half of the examples,
    begins the longest document of the partner's window. It is as long as what would follow, as far as there is
    enough of it, so that lengths tell nothing.

    Returns ``tokens``, ``documents`` (0, -1 for padding), ``positions`` and ``types`` (0 up to the first ``sep``, then
    1), all ``[B, L]``, and ``random_next`` ``[B]``: 1 where B is the partner's, 0 where it follows, -1 where a document
    of less than two tokens gives no pair.
    """
    rows, length = items["tokens"].shape
    tokens = np.full((rows, length), specials["pad"], np.int64)
    types, random_next = np.zeros((rows, length), np.int64), np.full(rows, -1, np.int64)
    ends = np.zeros(rows, np.int64)
    chance, cut = keys.uniform("next sentence", 1)[:, 0], keys.uniform("first segment", 1)[:, 0]
    skipped = np.array([specials[name] for name in ("bos", "eos", "pad")])
    room = length - 3
    for row in range(rows):
        own = longest(items["tokens"][row], items["documents"][row], skipped)
        other = longest(items["partner_tokens"][row, 0], items["partner_documents"][row, 0], skipped)
        whole = own[:room]
        first = len(whole) if len(whole) < 2 else 1 + int(cut[row] * (len(whole) - 1))
        second = whole[first:]
        if len(whole) >= 2:
            random_next[row] = int(chance[row] < 0.5 and len(other) > 0)
            second = other[: len(second)] if random_next[row] else second
        parts = [[specials["bos"]], whole[:first], [specials["sep"]], second, [specials["sep"]]]
        made = np.concatenate([np.asarray(part, np.int64) for part in parts])
        ends[row] = len(made)
        tokens[row, : len(made)] = made
        types[row, first + 2 : len(made)] = 1
    inside = np.arange(length) < ends[:, None]
    return {
        "tokens": tokens,
        "documents": np.where(inside, 0, -1),
        "positions": np.broadcast_to(np.arange(length), tokens.shape).copy(),
        "types": types,
        "random_next": random_next,
    }


def longest(tokens: np.ndarray, documents: np.ndarray, skipped: np.ndarray) -> np.ndarray:
    """The tokens of the document that has most of a window, without ``skipped`` ones."""
    kept = (documents >= 0) & ~np.isin(tokens, skipped)
    if not kept.any():
        return tokens[:0]
    numbers, sizes = np.unique(documents[kept], return_counts=True)
    return tokens[kept & (documents == numbers[sizes.argmax()])]
