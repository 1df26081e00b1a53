"""Pictures that a run drew of what it holds out: a forgotten picture may be one of them.

Nobody notes which items a drawing shows, so all drawings of a run go that held one of the documents out. The newest are
drawn again by an evaluation.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from seedstock.inputs.shards import Shards
from seedstock.provenance.erase import streams

FOLDERS = ("samples", "evaluation")
APART = {"curve.png"}  # drawn of numbers


def concerned(run_folder: Path, stages: Iterable[Path], ids: frozenset[bytes]) -> list[str]:
    """The drawings of a run whose sealed folders are ``stages``, as relative paths, sorted; none where nothing of the
    documents is held out: neither an item, nor the text and the codes of one."""
    found = [path for name in FOLDERS for path in (run_folder / name).glob("*.png") if path.name not in APART]
    if not found:
        return []
    shards = [Shards.open(stage) for stage in stages if streams.is_shards(stage)]
    held_out = (split == "held_out" for one in shards for document in ids for split, *_ in one.occurrences(document))
    return sorted(path.relative_to(run_folder).as_posix() for path in found) if any(held_out) else []


def is_drawing(path: Path) -> bool:
    """Whether a file is one of those that ``concerned`` names."""
    return path.suffix == ".png" and path.parent.name in FOLDERS and path.name not in APART
