"""What a family of objectives came to, and the records that tell it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Figures:
    """What one family came to. ``floors`` by name, in the unit of ``result``; ``target`` is what it is to be below."""

    what: str
    result: float
    floors: dict[str, float]
    target: float
    error: float | None = None
    more: dict[str, Any] = field(default_factory=dict)


def record(run: Path, name: str) -> Any:
    """A JSON file of a run's evaluation."""
    return json.loads((run / "evaluation" / f"{name}.json").read_text())
