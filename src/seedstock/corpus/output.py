"""Writes what was decided: the tables beside the documents, strata, summary, quarantine and report."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seedstock.corpus import edits, split, tables
from seedstock.corpus.media.types import COARSE
from seedstock.corpus.phases import CHANGED, DROPPED, KEPT, Phases
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
    decision = np.where(state.dropped, DROPPED, np.where(state.changed, CHANGED, KEPT))
    for number, piece in enumerate(state.pieces):
        rows = slice(piece.first, piece.first + piece.rows)
        columns = {
            "id": state.light["id"][rows],
            "decision": decision[rows],
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
        tables.write(folder / "decisions" / tables.part(number), pa.table(columns, schema=decisions_schema()))
        changed = [(state.light["id"][row].as_py(), *edit) for row, listed in state.edits[number] for edit in listed]
        rows_ = [dict(zip(edits.schema().names, values, strict=True)) for values in sorted(changed)]
        tables.write(folder / "edits" / tables.part(number), pa.Table.from_pylist(rows_, schema=edits.schema()))
    if state.duplicates is not None:
        tables.write(folder / "clusters.parquet", _clusters(state))
    write_json(folder / "strata.json", strata)
    lines = [*unreadable, *state.failures]
    write_text(folder / "quarantine.jsonl", "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    summary = report.summarise(folder)
    write_json(folder / "summary.json", summary)
    report.write_report(folder, summary)


def stratify(state: Phases) -> tuple[list[dict[str, Any]], np.ndarray]:
    """(strata as in strata.json, int32 [rows]: each row's stratum, -1 where dropped); numbered in sorted order.

    With re-hydration, documents that are to be repeated more often are a stratum of their own.
    """
    kept = np.flatnonzero(~state.dropped)
    columns = (state.light["source"].to_pylist(), state.light["domain"].to_pylist(), state.language, state.repeats)
    sources, domains, languages, repeats = (np.array(column, object) for column in columns)
    names = sorted({(sources[row], domains[row], languages[row], int(repeats[row])) for row in kept})
    number = {name: at for at, name in enumerate(names)}
    numbers = np.full(state.rows, -1, np.int32)
    numbers[kept] = [number[sources[row], domains[row], languages[row], int(repeats[row])] for row in kept]
    size = np.array(state.light["bytes"])
    rehydrated = state.config.dedup is not None and state.config.dedup.rehydrate is not None
    coarse = np.zeros(state.rows, bool)
    for row in np.flatnonzero(state.tokens & ~state.dropped):
        coarse[row] = json.loads(state.light["meta"][int(row)].as_py()).get("provenance") == COARSE
    strata = []
    for at, (source, domain, language, times) in enumerate(names):
        rows = numbers == at
        held = rows & (state.split == split.HELD_OUT)
        strata.append(
            {
                "stratum": at,
                "source": source,
                "domain": domain,
                "language": language,
                **({"repeats": times} if rehydrated else {}),
                "documents": int((rows & ~held).sum()),
                "bytes": int(size[rows & ~held].sum()),
                "held_out_documents": int(held.sum()),
                "held_out_bytes": int(size[held].sum()),
                **({"provenance": COARSE} if coarse[rows].any() else {}),
            }
        )
    return strata, numbers


def _clusters(state: Phases) -> pa.Table:
    """Every document that has duplicates, by cluster and row."""
    import pyarrow as pa

    assert state.duplicates is not None
    found, matches = state.duplicates.clusters, state.duplicates.matches()
    inside = np.flatnonzero(found.cluster_of >= 0)
    inside = inside[np.argsort(found.cluster_of[inside], kind="stable")]
    none = (None, None)
    return pa.table(
        {
            "id": state.light["id"].take(state.duplicates.survivors[inside]),
            "cluster": pa.array(found.cluster_of[inside], pa.int64()),
            "representative": pa.array(found.representative[inside], pa.bool_()),
            "size": pa.array(found.size_of[inside], pa.int64()),
            "kind": pa.array(found.kind[inside].tolist(), pa.string()),
            "why": pa.array(found.why[inside].tolist(), pa.string()),
            "matched": pa.array([matches.get(at, none)[0] for at in inside.tolist()], pa.binary(ID_BYTES)),
            "matched_in": pa.array([matches.get(at, none)[1] for at in inside.tolist()], pa.string()),
        }
    )
