"""Selection of training documents: the phase ``select``, a list of steps, each a choice with reasons on record."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedstock.corpus.selection.config import Dsir, labels

if TYPE_CHECKING:
    from seedstock.corpus.phases import Phases

__all__ = ["inputs", "labels", "run"]

PHASE = "select"


def inputs(steps: Sequence[Any]) -> list[Any]:
    """What the steps read from outside of the corpus: part of what names a corpus in the store.

    Raises DataError where a target file is missing.
    """
    found = []
    for step in steps:
        if isinstance(step, Dsir):
            from seedstock.corpus.classify import examples
            from seedstock.corpus.selection.dsir import VERSION

            sources = examples.sources(step.target, "target")
            found.append([VERSION, [[part.fingerprint for part in one.partitions()] for one in sources]])
    return found


def run(state: Phases, steps: Sequence[Any]) -> None:
    """Does the steps in their order; what they kept, by source, domain and language, goes into ``state.selected``."""
    import numpy as np

    from seedstock.corpus.labels import Labels
    from seedstock.corpus.selection.steps import choose

    names = {name: Labels(state.rows) for name in ("source", "domain")} | {"language": state.language}
    for piece in state.pieces:
        own = slice(piece.first, piece.first + piece.rows)
        about = piece.documents(["source", "domain"])
        for name in ("source", "domain"):
            names[name][own] = about[name].to_pylist()
    for number, (step, label) in enumerate(zip(steps, labels(tuple(steps)), strict=True)):
        asked = ~state.dropped & ~(state.tokens & (step.asks != "all")) & ~(state.media & (step.asks == "text"))
        if step.kind != "curriculum":
            asked &= state.split == "train"
        rows = np.flatnonzero(asked)
        pool = _pool(state, rows, names, f"{state.seed}/{number}/{step.kind}")
        found = choose(step, pool)
        gone = rows[~found.kept]
        state.drop(gone, PHASE, label, found.reason[~found.kept])
        state.split[gone] = ""
        if found.rank is not None and found.band is not None:
            state.rank, state.band = np.full(state.rows, -1, np.int64), np.full(state.rows, -1, np.int32)
            state.rank[rows], state.band[rows] = found.rank, found.band
            continue
        state.selected.append({"step": label, **_counts(pool, found.kept)})


def _pool(state: Phases, rows: Any, names: dict[str, Any], key: str) -> Any:
    import numpy as np

    from seedstock.corpus.duplicates import PiecePart
    from seedstock.corpus.selection.pool import Pool

    bounds = np.searchsorted(rows, [piece.first for piece in state.pieces] + [state.rows])
    parts = [PiecePart(piece, rows[bounds[at] : bounds[at + 1]] - piece.first) for at, piece in enumerate(state.pieces)]
    work: Path = state.work
    return Pool(parts, {name: own[rows] for name, own in names.items()}, state.bytes[rows], key, work, state.reporter)


def _counts(pool: Any, kept: Any) -> dict[str, Any]:
    """Documents and bytes that a step was asked about, and those it kept: in all, and by source, domain, language."""
    found: dict[str, Any] = _count(pool.bytes, kept)
    for part in ("source", "domain", "language"):
        names, codes = pool.groups([part])
        found[f"by_{part}"] = {name[0]: _count(pool.bytes, kept, codes == at) for at, name in enumerate(names)}
    return found


def _count(sizes: Any, kept: Any, inside: Any = slice(None)) -> dict[str, int]:
    sizes, kept = sizes[inside], kept[inside]
    return {
        "documents": len(sizes),
        "bytes": int(sizes.sum()),
        "kept_documents": int(kept.sum()),
        "kept_bytes": int(sizes[kept].sum()),
    }
