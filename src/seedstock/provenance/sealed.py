"""What a run's chain says of its sealed folders, after every tombstone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHAIN = "ledger/chain.jsonl"
HEAD = "ledger/head.json"


@dataclass(frozen=True)
class Sealed:
    """One sealed folder: where it lies and what its manifest must be."""

    path: Path
    kind: str
    stage: str
    manifest_sha256: str
    root: str


def place(run_folder: Path, folder: str) -> Path:
    """Where a recorded folder lies: the store's are relative to the folder of runs, the others to the run."""
    base = run_folder.parent if folder.startswith(".store/") else run_folder
    return base / folder


def sealed(run_folder: Path, records: Iterable[dict[str, Any]]) -> tuple[dict[str, Sealed], list[str]]:
    """The sealed folders of a run by their recorded names, and the tombstones that do not follow from what was before.

    They stand in the order of their last records, so the newest of a stage comes last. A later record of the same
    folder replaces an earlier one (it was built again, or a recipe was changed back); a tombstone must name the
    manifest that it replaces.
    """
    folders: dict[str, Sealed] = {}
    breaks: list[str] = []
    for record in records:
        body, kind = record["body"], record["kind"]
        if kind == "tombstone":
            name, old = body["folder"], folders.get(body["folder"])
            if old is None or old.manifest_sha256 != body["old"]["manifest_sha256"]:
                breaks.append(f"record {record['number']}: a tombstone of {name} that does not follow from its record")
                continue
            folders[name] = Sealed(old.path, old.kind, old.stage, body["new"]["manifest_sha256"], body["new"]["root"])
        elif "folder" in body and "manifest_sha256" in body:
            name = body["folder"]
            folders.pop(name, None)
            folders[name] = Sealed(
                place(run_folder, name), kind, body.get("stage", kind), body["manifest_sha256"], body["root"]
            )
    return folders, breaks
