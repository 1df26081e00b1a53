"""Keys for random draws: of what they are for, never of ranks, workers or the order of calls."""

from __future__ import annotations

import hashlib

import torch


def key64(*parts: object) -> int:
    """A 63-bit key of the parts' text (BLAKE2b)."""
    text = "\x00".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def generator(*parts: object) -> torch.Generator:
    """A CPU generator of random numbers keyed by the parts."""
    return torch.Generator().manual_seed(key64(*parts))
