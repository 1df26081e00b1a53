"""The ids of everything that was ever forgotten under a folder of runs: what is built later leaves them out."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from seedstock.errors import IntegrityError
from seedstock.ledger.files import write_text


def read(runs: Path) -> dict[bytes, dict[str, str]]:
    """{16-byte id: {id, reason, date}}. Raises IntegrityError where a line cannot be read."""
    path = Path(runs) / ".store" / "forgotten.jsonl"
    found = {}
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            found[bytes.fromhex(record["id"])] = record
        except (ValueError, KeyError, TypeError):
            raise IntegrityError("not a record", where=f"{path}:{number}", fix="restore it from a copy") from None
    return found


def add(runs: Path, ids: Iterable[bytes], reason: str, date: str) -> None:
    """Adds ids durably; those that are there already stay as they are."""
    known = read(runs)
    new = {one: {"id": one.hex(), "reason": reason, "date": date} for one in sorted(set(ids) - known.keys())}
    if new:
        lines = [json.dumps(record, sort_keys=True, ensure_ascii=False) for record in (known | new).values()]
        write_text(Path(runs) / ".store" / "forgotten.jsonl", "".join(line + "\n" for line in lines))
