"""What could not be read or measured, by reason: the lines of ``quarantine.jsonl``, added up."""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

LONGEST = 160  # characters of a reason
KINDS = 500  # different reasons that are told apart


def by_reason(path: Path) -> list[dict[str, Any]]:
    """``[{source, step, reason, count}]``, the commonest first; reasons that differ in numbers alone are one."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as lines:
        return counted(json.loads(line) for line in lines)


def counted(entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same, of entries with ``source``, ``step`` and ``reason``; without personal data."""
    from seedstock.corpus.samples import redacted

    found: Counter[tuple[str, str, str]] = Counter()
    for entry in entries:
        reason = re.sub(r"\d+|0x[0-9a-f]+", "N", str(entry.get("reason", ""))[:LONGEST])
        key = (str(entry.get("source", "")), str(entry.get("step", "")), reason)
        found[key if key in found or len(found) < KINDS else (key[0], key[1], "other reasons")] += 1
    shown = []
    for (source, step, reason), count in sorted(found.items(), key=lambda item: (-item[1], item[0])):
        with contextlib.suppress(Exception):  # what cannot be redacted is not shown
            shown.append({"source": source, "step": step, "reason": redacted(reason), "count": count})
    return shown
