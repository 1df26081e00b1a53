"""Which member of a cluster stays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from seedstock.corpus.dedup.config import KeepScore, KeepSources
from seedstock.corpus.dedup.parts import Part, firsts
from seedstock.errors import RecipeError

if TYPE_CHECKING:
    import pyarrow as pa

REASONS = {"longest": "the longest", "newest": "the newest", "first": "the first"}


def choose(
    keep: Any, parts: Sequence[Part], settled: int, roots: np.ndarray, sizes: np.ndarray | None = None
) -> np.ndarray:
    """Who stands for each row, int64 [rows].

    ``roots`` int64 [rows] are the clusters; a root below ``settled``, of an earlier corpus, stands for its cluster.
    Otherwise ``keep`` orders the members; what it leaves equal goes by length (``sizes`` int64 [rows], or the bytes of
    the text), then by source and locator, then by place.
    """
    count = np.bincount(roots, minlength=len(roots))
    best = np.arange(len(roots))
    best[roots < settled] = roots[roots < settled]
    rows = np.flatnonzero((count[roots] > 1) & (roots >= settled))
    if len(rows):
        table = _about(keep, parts, rows)
        if sizes is not None:
            table = table.set_column(table.column_names.index("bytes"), "bytes", [sizes[rows]])
        table = table.append_column("cluster", [roots[rows]]).append_column("row", [rows])
        order = [
            ("cluster", "ascending"),
            ("wanted", "descending"),
            *([] if keep == "first" else [("bytes", "descending"), ("source", "ascending"), ("locator", "ascending")]),
            ("row", "ascending"),
        ]
        table = table.sort_by(order)
        cluster, row = table["cluster"].to_numpy(), table["row"].to_numpy()
        chosen = np.flatnonzero(np.diff(cluster, prepend=-1))
        lead = np.zeros(len(roots), np.int64)
        lead[cluster[chosen]] = row[chosen]
        best[rows] = lead[roots[rows]]
    return best


def reason(keep: Any) -> str:
    """Why the one that stands for others was chosen."""
    if isinstance(keep, KeepScore):
        return f"the largest {keep.score}"
    if isinstance(keep, KeepSources):
        return f"its source, in the order {', '.join(keep.sources)}"
    return REASONS[keep]


def _about(keep: Any, parts: Sequence[Part], rows: np.ndarray) -> pa.Table:
    """For each of ``rows``: bytes, source, locator, and ``wanted``, of which the largest stays."""
    import pyarrow as pa

    begins = firsts(parts)
    bounds = np.searchsorted(rows, begins)
    extra = {"newest": ["meta"]}.get(keep, [keep.score] if isinstance(keep, KeepScore) else [])
    found = []
    for number, part in enumerate(parts):
        own = rows[bounds[number] : bounds[number + 1]] - begins[number]
        if not len(own):
            continue
        try:
            table = part.read(["bytes", "source", "locator", *extra]).take(pa.array(own, pa.int64()))
        except (KeyError, FileNotFoundError):
            raise RecipeError(
                f"no signal of the policy has the column {keep.score!r}" if extra else "a column is missing",
                where="corpus.dedup: keep",
                fix="list the signal in corpus.policy.signals",
            ) from None
        wanted = _wanted(keep, table)
        table = table.select(["bytes", "source", "locator"]).cast(
            pa.schema([("bytes", pa.int64()), ("source", pa.string()), ("locator", pa.string())])
        )
        found.append(table.append_column("wanted", wanted))
    return pa.concat_tables(found)


def _wanted(keep: Any, table: pa.Table) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    if keep == "newest":  # ISO 8601 dates sort as text
        return pa.array([str(json.loads(meta or "{}").get("date") or "") for meta in table["meta"].to_pylist()])
    if isinstance(keep, KeepScore):
        return pc.fill_null(table[keep.score].cast(pa.float64()), -np.inf)
    if isinstance(keep, KeepSources):
        place = {name: len(keep.sources) - at for at, name in enumerate(keep.sources)}
        return pa.array([place.get(name, 0) for name in table["source"].to_pylist()], pa.int64())
    return pa.nulls(table.num_rows, pa.int8())
