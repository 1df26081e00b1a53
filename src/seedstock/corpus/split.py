"""The held-out split: drawn by keyed hash, so that it stays when the corpus grows.

A document that stands alone is drawn by its own digest; a cluster of duplicates by the smallest digest of its members,
so that the whole cluster falls on one side, whichever of its members is kept. The key comes from the recipe's seed,
not from the project: two people who build one recipe hold out the same texts.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

from seedstock.ledger.ids import keyed

if TYPE_CHECKING:
    import pyarrow as pa

HELD_OUT, TRAIN = "held_out", "train"


def digests(documents: pa.Table, media: np.ndarray) -> list[bytes]:
    """What each row is drawn by: its ``split_group`` where the meta has one, its media's digest, else its text's.

    Many pictures have one label for a text, and variants of one picture must not lie on both sides. ``media``, bool
    [rows], says which documents have any.
    """
    found = documents["text_sha256"].to_pylist()
    if media.any():
        raw = documents["raw_sha256"].to_pylist()
        found = [own if has else text for own, has, text in zip(raw, media, found, strict=True)]
    for row, meta in enumerate(documents["meta"].to_pylist()):
        if meta and '"split_group"' in meta and (group := json.loads(meta).get("split_group")) is not None:
            found[row] = hashlib.sha256(f"{documents['source'][row]}\0{group}".encode()).digest()
    return found


def draws(digests: list[bytes], seed: int) -> np.ndarray:
    """The number that each row is drawn by, uint64."""
    key = keyed(b"seedstock", "held-out", str(seed).encode())
    return np.array([int.from_bytes(keyed(key, "draw", digest)[:8], "big") for digest in digests], np.uint64)


def choose(draws: np.ndarray, clusters: np.ndarray, kept: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Which rows are held out, bool [rows].

    ``draws`` are the rows' numbers (written into), ``clusters`` int64 [rows] their dedup clusters (-1 alone), ``kept``
    bool [rows] those that may be drawn. Where the share comes to nothing, the one smallest draw of at least two is held
    out, so that there is something to validate on.
    """
    key = keyed(b"seedstock", "held-out", str(seed).encode())
    inside = np.flatnonzero(clusters >= 0)
    smallest = np.full(int(clusters.max(initial=-1)) + 1, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(smallest, clusters[inside], draws[inside])
    # The smallest of n draws is small: it is drawn again, so that large clusters are held out as often as small ones.
    again = np.array(
        [int.from_bytes(keyed(key, "cluster", int(d).to_bytes(8, "big"))[:8], "big") for d in smallest], np.uint64
    )
    draws[inside] = again[clusters[inside]]
    held = kept & (draws < np.uint64(fraction * 2.0**64))
    candidates = np.flatnonzero(kept)
    if fraction > 0 and not held.any() and len(np.unique(draws[candidates])) > 1:
        held = kept & (draws == draws[candidates].min())
    return held
