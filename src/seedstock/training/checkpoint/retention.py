"""Which checkpoints stay."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

from seedstock.training.checkpoint.folder import listing, step_of


def kept(steps: Collection[int], keep: int, every: int | None, milestones: Collection[int]) -> set[int]:
    """Of these steps, the ``keep`` newest, multiples of ``every`` and milestones."""
    newest = sorted(steps, reverse=True)[: max(1, keep)]
    return {step for step in steps if step in newest or step in milestones or (every and step % every == 0)}


def prune(
    checkpoints: Path,
    *,
    verified: int,
    keep: int,
    every: int | None = None,
    milestones: Collection[int] = (),
    damaged: Collection[int] = (),
) -> list[Path]:
    """Removes the checkpoints that need not stay, oldest first, and tells which.

    ``verified`` is the step of the last one known to be whole: it always stays, and so do milestones (the state
    before a learning rate's fall, from which a run can be continued). Damaged ones do not count and are left alone.
    """
    folders = {step_of(folder): folder for folder in listing(checkpoints) if step_of(folder) not in damaged}
    stay = kept(folders.keys(), keep, every, milestones) | {verified}
    gone = [folders[step] for step in sorted(folders.keys() - stay)]
    for folder in gone:
        # Out of the way first: a deletion that is cut off must not leave half a checkpoint under its name.
        aside = folder.with_name(f".{folder.name}.old")
        folder.rename(aside)
        shutil.rmtree(aside)
    return gone
