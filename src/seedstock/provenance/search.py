"""Exact search of a text in token streams, whatever tokens its ends fall into: a scan of the bytes of the tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from seedstock.inputs.shards import Shards
    from seedstock.inputs.tokenizers import Tokenizer

CHUNK = 1 << 20  # tokens that are searched at a time
ITEMS = 4096
SEPARATOR = b"\xff"  # stands for a special token: no byte of UTF-8, so that no match goes over a document's end


def search(text: str, shards: Shards, tokenizer: Tokenizer, split: str) -> Iterator[tuple[int, int, int]]:
    """The (stratum, start, stop) of every place where ``text`` stands in a split, in stream positions.

    [start, stop) are the tokens that hold it, whole; matches may overlap. A text lies inside one document. Memory is
    bounded by one chunk. Of items whose texts are cut to a length, a place is an item.
    """
    needle = text.encode()
    values = tokenizer.bytes_of(range(tokenizer.vocab_size))
    for special in tokenizer.specials.values():
        values[special] = SEPARATOR
    sizes = np.array([len(value) for value in values], np.int64)
    if hasattr(shards, "fields"):
        yield from _among_items(needle, shards, values, sizes, split)
        return
    for stratum in shards.strata(split):
        for begin in range(0, stratum.tokens, CHUNK):
            # No token is empty, so a match that begins in this chunk ends within that many tokens after it.
            size = min(CHUNK + len(needle), stratum.tokens - begin)
            tokens = shards.read(split, stratum.stratum, np.array([begin]), size)[0]
            for low, high in _matches(needle, tokens, values, sizes):
                if low < CHUNK:
                    yield stratum.stratum, begin + low, begin + high


def _among_items(
    needle: bytes, shards: Any, values: list[bytes], sizes: np.ndarray, split: str
) -> Iterator[tuple[int, int, int]]:
    """The items whose text holds it: (stratum, number, number + 1)."""
    values = [one or SEPARATOR for one in values]
    for stratum in shards.strata(split):
        for begin in range(0, stratum.tokens, ITEMS):
            rows = shards.items(split, stratum.stratum, np.arange(begin, min(begin + ITEMS, stratum.tokens)))
            for number, tokens in enumerate(rows["tokens"], begin):
                if next(_matches(needle, tokens, values, sizes), None):
                    yield stratum.stratum, number, number + 1


def _matches(needle: bytes, tokens: np.ndarray, values: list[bytes], sizes: np.ndarray) -> Iterator[tuple[int, int]]:
    """The tokens [low, high) of each match."""
    text = b"".join(map(values.__getitem__, tokens.tolist()))
    place = text.find(needle)
    if place < 0:
        return
    ends = np.cumsum(sizes[tokens])
    while place >= 0:
        low, high = np.searchsorted(ends, [place, place + len(needle) - 1], "right")
        yield int(low), int(high) + 1
        place = text.find(needle, place + 1)
