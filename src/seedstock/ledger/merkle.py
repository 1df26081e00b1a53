"""Merkle roots over named leaves (RFC 6962, section 2.1: leaf and node hashes are kept apart)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def root(leaves: Iterable[tuple[str, str]]) -> str:
    """The hexadecimal root over (name, digest) pairs, sorted by name: a swap of two files changes it."""
    level = [_leaf(name, digest) for name, digest in sorted(leaves)]
    if not level:
        return hashlib.sha256(b"").hexdigest()
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        odd = [level[-1]] if len(level) % 2 else []
        level = [hashlib.sha256(b"\1" + left + right).digest() for left, right in pairs] + odd
    return level[0].hex()


def _leaf(name: str, digest: str) -> bytes:
    return hashlib.sha256(b"\0" + name.encode() + b"\0" + digest.encode()).digest()
