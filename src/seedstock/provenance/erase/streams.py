"""Overwrites documents in token shards with padding, so that every other example keeps its number and its tokens.

The loss does not count targets that are padding. The tables of documents stay as they are: a keyed id and a length say
nothing of the content, and ``trace`` still tells which steps saw the span.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from seedstock.inputs.shards import Shards
from seedstock.ledger.files import atomic

Span = tuple[int, int]


def is_shards(folder: Path) -> bool:
    """Whether a sealed folder holds shards."""
    return (folder / "index.json").is_file() and any(folder.glob("*/*.documents.npy"))


def concerned(folder: Path, ids: frozenset[bytes]) -> list[str]:
    """The files that hold tokens of documents."""
    return [name for name, _ in _in_files(folder, ids)]


def erase(folder: Path, ids: frozenset[bytes]) -> None:
    """Overwrites the documents' spans with the padding token."""
    shards = Shards(folder)
    for name, inside in _in_files(folder, ids):
        _overwrite(folder / name, inside, shards.dtype, shards.specials["pad"])


def _in_files(folder: Path, ids: frozenset[bytes]) -> Iterator[tuple[str, list[Span]]]:
    """(file, spans in it): a document may go on in the next file of its stratum."""
    shards = Shards(folder)
    for split, strata in shards.index["splits"].items():
        for stratum in strata:
            spans = _spans(*shards.documents(split, stratum["stratum"]), ids)
            begin = 0
            for file in stratum["files"]:
                cut = [(max(start - begin, 0), min(stop - begin, file["tokens"])) for start, stop in spans]
                if inside := [(start, stop) for start, stop in cut if start < stop]:
                    yield file["path"], inside
                begin += file["tokens"]


def _spans(table: np.ndarray, starts: np.ndarray, ids: frozenset[bytes]) -> list[Span]:
    """The (start, end) positions of documents in a stream, by its table of ids (uint8 ``[D, 16]``) and starts."""
    keys = np.ascontiguousarray(table).view("S16").ravel()
    return [(int(starts[at]), int(starts[at + 1])) for at in np.flatnonzero(np.isin(keys, np.array([*ids], "S16")))]


def _overwrite(path: Path, inside: list[Span], dtype: np.dtype, pad: int) -> None:
    tokens = np.memmap(path, dtype, "r")
    if all((tokens[start:stop] == pad).all() for start, stop in inside):
        return
    del tokens
    with path.open("rb") as old, atomic(path) as new:
        shutil.copyfileobj(old, new, 1 << 20)
        for start, stop in inside:
            new.seek(start * dtype.itemsize)
            new.write(np.full(stop - start, pad, dtype).tobytes())
