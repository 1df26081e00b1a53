"""Which steps and checkpoints of which runs saw a document."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def exposures(runs: Path, ids: frozenset[bytes]) -> list[dict[str, Any]]:
    """For each run and document."""
    return []
