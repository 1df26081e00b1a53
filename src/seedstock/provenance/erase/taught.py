"""Overwrites what a teacher said of documents in stored logits: its likeliest tokens are as good as a copy of the text.

The shards' own positions are padding by then, of which nothing is predicted, so nothing reads what is blank here. Where
the shards are gone nobody can tell which rows are a document's, and all of them are overwritten.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from seedstock.inputs.logits import STAGE, Stored
from seedstock.inputs.shards import Shards
from seedstock.ledger import manifest
from seedstock.ledger.files import atomic

FILES = ("ids.npy", "logs.npy")


def is_logits(folder: Path) -> bool:
    """Whether a sealed folder holds stored logits."""
    return folder.parent.name == STAGE and all((folder / name).is_file() for name in FILES)


def concerned(folder: Path, ids: frozenset[bytes]) -> list[str]:
    """The files that hold rows of documents."""
    return list(FILES) if _rows(Stored(folder), ids).any() else []


def erase(folder: Path, ids: frozenset[bytes]) -> None:
    """Overwrites the documents' rows with zeros."""
    rows = _rows(Stored(folder), ids)
    for name in FILES:
        _overwrite(folder / name, rows)


def _rows(stored: Stored, ids: frozenset[bytes]) -> np.ndarray:
    """Which positions of which windows belong to documents: bool ``[W, length]``."""
    shards_folder = stored.folder.parent.parent / "shards" / stored.index["shards"]
    found = np.zeros((len(stored.windows), stored.length), bool)
    if not manifest.is_sealed(shards_folder):
        return ~found
    shards = Shards(shards_folder)
    for stratum in np.unique(stored.windows[:, 0]).tolist():
        own = np.flatnonzero(stored.windows[:, 0] == stratum)
        starts = stored.windows[own, 1]
        table, ends = shards.documents("train", stratum)
        keys = np.ascontiguousarray(table).view("S16").ravel()
        for number in np.flatnonzero(np.isin(keys, np.array([*ids], "S16"))).tolist():
            begin, end = int(ends[number]), int(ends[number + 1])
            near = own[(starts < end) & (starts + stored.length > begin)]
            for row in near.tolist():
                start = int(stored.windows[row, 1])
                found[row, max(begin - start, 0) : max(end - start, 0)] = True
    return found


def _overwrite(path: Path, rows: np.ndarray) -> None:
    held = np.load(path, mmap_mode="r")
    size, head = held[0, 0].nbytes, path.stat().st_size - held.nbytes
    places = np.flatnonzero(rows.ravel())
    if not held.reshape(-1, held.shape[-1])[places].any():
        return
    del held
    with path.open("rb") as old, atomic(path) as new:
        shutil.copyfileobj(old, new, 1 << 20)
        for place in places.tolist():
            new.seek(head + place * size)
            new.write(bytes(size))
