"""Documents as deduplication reads them."""

from __future__ import annotations

import hashlib
import itertools
from typing import Any

import pyarrow as pa

from seedstock.corpus.dedup.parts import InMemory


def table(texts: list[str], **columns: Any) -> pa.Table:
    """A part's table: texts with their digests, sources, locators and sizes, and other ``columns``."""
    count = len(texts)
    own = {
        "text": pa.array(texts, pa.large_string()),
        "text_sha256": pa.array([hashlib.sha256(text.encode()).digest() for text in texts], pa.binary(32)),
        "source": pa.array(["s"] * count, pa.string()),
        "locator": pa.array([f"{at:05d}" for at in range(count)], pa.string()),
        "url": pa.nulls(count, pa.string()),
        "meta": pa.array(["{}"] * count, pa.string()),
        "bytes": pa.array([len(text.encode()) for text in texts], pa.int64()),
    }
    return pa.table({**own, **columns})


def parts(texts: list[str], cuts: tuple[int, ...] = (), **columns: Any) -> list[InMemory]:
    """The documents divided at ``cuts``."""
    whole = table(texts, **columns)
    bounds = [0, *sorted(cuts), len(texts)]
    return [InMemory(whole.slice(a, b - a)) for a, b in itertools.pairwise(bounds)]
