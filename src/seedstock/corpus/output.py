"""Writes what was decided: the tables beside the documents, strata, summary, quarantine and report."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seedstock.corpus import split, tables
from seedstock.corpus.media.types import COARSE
from seedstock.corpus.phases import CHANGED, DROPPED, KEPT, Phases
from seedstock.corpus.pieces import link
from seedstock.ledger.files import write_json, write_text
from seedstock.ledger.ids import ID_BYTES

if TYPE_CHECKING:
    import pyarrow as pa


@cache
def decisions_schema() -> pa.Schema:
    """Arrow schema of decisions/."""
    import pyarrow as pa

    texts = [(name, pa.string()) for name in ("decision", "phase", "step", "reason")]
    clusters = [("cluster", pa.int64()), ("cluster_size", pa.int64()), ("repeats", pa.int32())]
    rest = [("split", pa.string()), ("stratum", pa.int32()), ("language", pa.string())]
    return pa.schema([("id", pa.binary(ID_BYTES)), *texts, *clusters, *rest])


def write(folder: Path, state: Phases, unreadable: list[dict[str, Any]]) -> None:
    """Fills a corpus folder that already has its documents and signals."""
    import pyarrow as pa

    from seedstock.corpus import report

    strata, numbers = stratify(state)
    for number, piece in enumerate(state.pieces):
        rows = slice(piece.first, piece.first + piece.rows)
        dropped, changed = state.dropped[rows], state.changed[rows]
        columns = {
            "id": piece.documents(["id"])["id"],
            "decision": np.where(dropped, DROPPED, np.where(changed, CHANGED, KEPT)),
            "phase": state.phase[rows],
            "step": state.step[rows],
            "reason": state.reason[rows],
            "cluster": state.cluster[rows],
            "cluster_size": state.cluster_size[rows],
            "repeats": state.repeats[rows],
            "split": state.split[rows],
            "stratum": numbers[rows],
            "language": state.language[rows],
        }
        schema = decisions_schema()
        if state.rank is not None and state.band is not None:
            columns |= {"rank": state.rank[rows], "band": state.band[rows]}
            schema = schema.append(pa.field("rank", pa.int64())).append(pa.field("band", pa.int32()))
        tables.write(folder / "decisions" / tables.part(number), pa.table(columns, schema=schema))
        link(state.edits(number), folder / "edits" / tables.part(number))
    if state.duplicates is not None:
        tables.write(folder / "clusters.parquet", _clusters(state))
    write_json(folder / "strata.json", strata)
    lines = [*unreadable, *state.failures]
    write_text(folder / "quarantine.jsonl", "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    summary = report.summarise(folder, state.selected, state.config.policy.rules)
    write_json(folder / "summary.json", summary)
    report.write_report(folder, summary)


def stratify(state: Phases) -> tuple[list[dict[str, Any]], np.ndarray]:
    """(strata as in strata.json, int32 [rows]: each row's stratum, -1 where dropped); numbered in sorted order.

    With re-hydration, documents that are to be repeated more often are a stratum of their own, and so is each band of a
    curriculum.
    """
    found: dict[tuple[str, str, str, int, int], int] = {}
    bands = np.full(state.rows, -1, np.int32) if state.band is None else state.band
    coarse = set()
    numbers = np.full(state.rows, -1, np.int32)
    for piece in state.pieces:
        kept = np.flatnonzero(~state.dropped[piece.first : piece.first + piece.rows])
        rows = piece.first + kept
        about = piece.documents(["source", "domain", "meta"]).take(kept)
        named = (about["source"].to_pylist(), about["domain"].to_pylist(), state.language[rows])
        names = zip(*named, state.repeats[rows].tolist(), bands[rows].tolist(), strict=True)
        numbers[rows] = [found.setdefault(name, len(found)) for name in names]
        for at in np.flatnonzero(state.tokens[rows]).tolist():
            if json.loads(about["meta"][at].as_py()).get("provenance") == COARSE:
                coarse.add(int(numbers[rows[at]]))
    ordered = sorted(found)
    place = np.empty(len(found) + 1, np.int32)
    place[[found[name] for name in ordered]] = np.arange(len(found))
    place[-1] = -1
    numbers = place[numbers]
    coarse = {int(place[number]) for number in coarse}
    rehydrated = state.config.dedup is not None and state.config.dedup.rehydrate is not None
    counts = {}
    for name, held in (("", False), ("held_out_", True)):
        inside = (numbers >= 0) & ((state.split == split.HELD_OUT) == held)
        counts[f"{name}documents"] = np.bincount(numbers[inside], minlength=len(found))
        totals = np.zeros(len(found), np.int64)
        np.add.at(totals, numbers[inside], state.bytes[inside])
        counts[f"{name}bytes"] = totals
    strata = [
        {
            "stratum": at,
            "source": source,
            "domain": domain,
            "language": language,
            **({"repeats": times} if rehydrated else {}),
            **({} if state.band is None else {"band": band}),
            **{name: int(values[at]) for name, values in counts.items()},
            **({"provenance": COARSE} if at in coarse else {}),
        }
        for at, (source, domain, language, times, band) in enumerate(ordered)
    ]
    return strata, numbers


def _ids(state: Phases, rows: np.ndarray) -> pa.Array:
    """The ids of rows, in their order; null for a row of -1."""
    import pyarrow as pa

    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    found: list[bytes | None] = [None] * int((ordered < 0).sum())
    for piece in state.pieces:
        here = ordered[np.searchsorted(ordered, piece.first) : np.searchsorted(ordered, piece.first + piece.rows)]
        if len(here):
            found += piece.documents(["id"])["id"].take(pa.array(here - piece.first)).to_pylist()
    back = np.empty(len(rows), np.int64)
    back[order] = np.arange(len(rows))
    return pa.array(found, pa.binary(ID_BYTES)).take(pa.array(back))


def _clusters(state: Phases) -> pa.Table:
    """Every document that has duplicates, by cluster and row."""
    import pyarrow as pa

    assert state.duplicates is not None
    found, matches = state.duplicates.clusters, state.duplicates.matches()
    inside = np.flatnonzero(found.cluster_of >= 0)
    inside = inside[np.argsort(found.cluster_of[inside], kind="stable")]
    none, stands = (None, None), found.stands_for[inside]
    return pa.table(
        {
            "id": _ids(state, state.duplicates.survivors[inside]),
            "cluster": pa.array(found.cluster_of[inside], pa.int64()),
            "representative": pa.array(found.representative[inside], pa.bool_()),
            "size": pa.array(found.size_of[inside], pa.int64()),
            "kind": pa.array(found.kind[inside].tolist(), pa.string()),
            "why": pa.array(found.why[inside].tolist(), pa.string()),
            "stands_for": _ids(state, np.where(stands >= 0, state.duplicates.survivors[stands], -1)),
            "matched": pa.array([matches.get(at, none)[0] for at in inside.tolist()], pa.binary(ID_BYTES)),
            "matched_in": pa.array([matches.get(at, none)[1] for at in inside.tolist()], pa.string()),
        }
    )
