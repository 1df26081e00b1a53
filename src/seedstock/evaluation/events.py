"""What a run wrote down while it went on: the lines of ``events.jsonl``, by kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np


def read(path: Path, *kinds: str) -> dict[str, list[dict[str, Any]]]:
    """The events of each kind, in order. A line cut short by a crash is passed over; no file means no events."""
    found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
    if not Path(path).is_file():
        return found
    with Path(path).open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and event.get("event") in found:
                found[event["event"]].append(event)
    return found


def by_step(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One event a step, the latest: a run that was resumed has written some steps twice."""
    latest = {int(event["step"]): event for event in events if "step" in event}
    return [latest[step] for step in sorted(latest)]


def column(events: list[dict[str, Any]], name: str) -> np.ndarray:
    """One field as float64 ``[E]``; NaN where an event lacks it, or where the run wrote no number (a lost loss)."""
    values = [event.get(name) for event in events]
    return np.array([value if isinstance(value, int | float) else np.nan for value in values], np.float64)
