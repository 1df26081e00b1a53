"""The ids of everything that was ever forgotten under a folder of runs: what is built later leaves them out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from seedstock.ledger.chain import Chain


def _chain(runs: Path) -> Chain:
    return Chain(Path(runs) / ".store" / "forgotten.jsonl")


def read(runs: Path) -> frozenset[bytes]:
    """The 16-byte ids. Raises IntegrityError where the list was altered."""
    return frozenset(bytes.fromhex(text) for body in _chain(runs).of("forgotten") for text in body["ids"])


def add(runs: Path, ids: Iterable[bytes], reason: str, date: str) -> None:
    """Adds ids durably; those that are there already are left alone."""
    new = sorted(set(ids) - read(runs))
    if new:
        _chain(runs).append("forgotten", {"ids": [one.hex() for one in new], "reason": reason, "date": date})
