"""Overwrites documents in shards, so that every other example keeps its number and its content: tokens with padding,
the arrays of items with zeros.

The loss does not count targets that are padding, nor items that are not ``present``. The tables of documents stay as
they are: a keyed id and a length say nothing of the content, and ``trace`` still tells which steps saw the span.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from seedstock.inputs.items.shards import ItemShards
from seedstock.inputs.shards import Shards
from seedstock.ledger.files import atomic, read_json

Span = tuple[int, int]


def is_shards(folder: Path) -> bool:
    """Whether a sealed folder holds shards."""
    return (folder / "index.json").is_file() and any(folder.glob("*/*.documents.npy"))


def concerned(folder: Path, ids: frozenset[bytes]) -> list[str]:
    """The files that hold tokens, or scores, of documents."""
    return [name for name, _, _ in _in_files(folder, ids)] + [name for name, _ in _scored(folder, ids)]


def erase(folder: Path, ids: frozenset[bytes]) -> None:
    """Overwrites the documents' spans, and their scores with NaN."""
    for name, inside, blank in _in_files(folder, ids):
        _overwrite(folder / name, inside, blank)
    for name, rows in _scored(folder, ids):
        scores = np.load(folder / name, allow_pickle=False)
        if not np.isnan(scores[rows]).all():
            scores[rows] = np.nan
            with atomic(folder / name) as out:
                np.save(out, scores, allow_pickle=False)


def _scored(folder: Path, ids: frozenset[bytes]) -> Iterator[tuple[str, np.ndarray]]:
    """(file of scores, rows in it)."""
    index = read_json(folder / "index.json")
    for strata in index["splits"].values() if index.get("scores") else ():
        for stratum in strata:
            table = np.load(folder / stratum["table"], allow_pickle=False)
            keys = np.ascontiguousarray(table["id"]).view("S16").ravel()
            rows = np.flatnonzero(np.isin(keys, np.array([*ids], "S16")))
            if rows.size:
                yield stratum["scores"], rows


def _in_files(folder: Path, ids: frozenset[bytes]) -> Iterator[tuple[str, list[Span], np.ndarray]]:
    """(file, spans in it, what each of their places becomes): a document may go on in the next file of its stratum."""
    shards = Shards.open(folder)
    for split, strata in shards.index["splits"].items():
        for stratum in strata:
            spans = _spans(*shards.documents(split, stratum["stratum"]), ids)
            if isinstance(shards, ItemShards):
                for name, path in stratum["fields"].items() if spans else ():
                    yield path, spans, np.zeros(shards.fields[name].bytes, np.uint8)
                continue
            blank, begin = np.array([shards.specials["pad"]], shards.dtype), 0
            for file in stratum["files"]:
                cut = [(max(start - begin, 0), min(stop - begin, file["tokens"])) for start, stop in spans]
                if inside := [(start, stop) for start, stop in cut if start < stop]:
                    yield file["path"], inside, blank
                begin += file["tokens"]


def _spans(table: np.ndarray, starts: np.ndarray, ids: frozenset[bytes]) -> list[Span]:
    """The (start, end) positions of documents in a stream, by its table of ids (uint8 ``[D, 16]``) and starts."""
    keys = np.ascontiguousarray(table).view("S16").ravel()
    return [(int(starts[at]), int(starts[at + 1])) for at in np.flatnonzero(np.isin(keys, np.array([*ids], "S16")))]


def _overwrite(path: Path, inside: list[Span], blank: np.ndarray) -> None:
    places = np.memmap(path, blank.dtype, "r").reshape(-1, len(blank))
    if all((places[start:stop] == blank).all() for start, stop in inside):
        return
    del places
    with path.open("rb") as old, atomic(path) as new:
        shutil.copyfileobj(old, new, 1 << 20)
        for start, stop in inside:
            new.seek(start * blank.nbytes)
            new.write(blank.tobytes() * (stop - start))
