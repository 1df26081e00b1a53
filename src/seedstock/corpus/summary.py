"""The numbers of a corpus, counted from its written tables.

``summarise(folder)`` returns plain JSON values and holds no text, locator or URL, so that ``summary.json`` never has to
be rewritten for the sake of what a document says. A *count* is ``{documents, bytes}`` (bytes of unedited text)::

    format       1
    read         count: every document of documents/
    kept         count: kept or changed
    changed      count: kept with edits
    dropped      count
    held_out     count: kept, in the held-out split
    flow         [{phase, step, reason, documents, bytes}]: what was dropped, in the order of the phases,
                 the largest step and reason first
    by_source, by_domain, by_language, by_licence
                 {name: {documents, bytes, kept_documents, kept_bytes}}, the most kept bytes first;
                 a licence is the SPDX expression of the licence signal where the corpus has that signal
    duplicates   {clusters, documents, removed, largest: [{cluster, size, kind}], sizes: {size: clusters}}
    edits        {kind: {edits, documents}}
    quarantine   how many documents or files could not be read
    token_files  {documents, tokens, coarse}, where some came as token ids: no step that needs their text looked at them
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedstock.corpus.media.types import COARSE, TOKENS

if TYPE_CHECKING:
    import pyarrow as pa

PHASES = ("read", "filter", "dedup", "split", "decontaminate", "select", "edit")
REASON = ("phase", "step", "reason")
UNDECLARED = "undeclared"


def parts(folder: Path) -> list[str]:
    """The names of a corpus folder's parts, in order."""
    return sorted(path.name for path in (folder / "documents").glob("part-*.parquet"))


def signal_part(folder: Path, name: str, part: str) -> Path | None:
    """Where one part of a signal lies (its newest version), or None where the corpus lacks that signal."""
    found = sorted(folder.glob(f"signals/{name}@*/{part}"), key=lambda path: int(path.parent.name.rpartition("@")[2]))
    return found[-1] if found else None


def rows(folder: Path, *columns: str) -> Iterator[pa.Table]:
    """A table a part: ``columns`` of documents/, every column of decisions/ but id, and ``licence`` in SPDX form."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    for part in parts(folder):
        documents = pq.read_table(folder / "documents" / part, columns=[*columns, "licence"], memory_map=True)
        decisions = pq.read_table(folder / "decisions" / part).drop_columns(["id"])
        licence = documents["licence"].cast(pa.string())
        if tagged := signal_part(folder, "licence", part):
            licence = pq.read_table(tagged, columns=["expression"])["expression"].cast(pa.string())
        empty = pc.equal(pc.fill_null(licence, ""), "")
        table = documents.drop_columns(["licence"]).append_column("licence", pc.if_else(empty, UNDECLARED, licence))
        for name in decisions.column_names:
            table = table.append_column(name, decisions[name])
        yield table


def summarise(folder: Path) -> dict[str, Any]:
    """Counts a corpus folder's documents, decisions, clusters, edits and quarantine (keys: see the module)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    folder = Path(folder)
    read = [*rows(folder, "source", "domain", "bytes")]
    if not read:
        return _empty() | {"quarantine": _lines(folder / "quarantine.jsonl")}
    table = pa.concat_tables(read, promote_options="permissive").combine_chunks()
    dropped = pc.equal(table["decision"], "dropped")
    kept = pc.invert(dropped)
    table = table.append_column("kept_bytes", pc.if_else(kept, table["bytes"], 0))
    table = table.append_column("kept_documents", kept.cast(pa.int64()))
    made = _token_files(folder)
    return {
        "format": 1,
        **({"token_files": made} if made else {}),
        "read": _count(table),
        "kept": _count(table.filter(kept)),
        "changed": _count(table.filter(pc.equal(table["decision"], "changed"))),
        "dropped": _count(table.filter(dropped)),
        "held_out": _count(table.filter(pc.and_(kept, pc.equal(table["split"], "held_out")))),
        "flow": _flow(table.filter(dropped)),
        **{f"by_{name}": _by(table, name) for name in ("source", "domain", "language", "licence")},
        "duplicates": _duplicates(folder / "clusters.parquet"),
        "edits": _edits(folder),
        "quarantine": _lines(folder / "quarantine.jsonl"),
    }


def _empty() -> dict[str, Any]:
    none = {"documents": 0, "bytes": 0}
    counts = {name: dict(none) for name in ("read", "kept", "changed", "dropped", "held_out")}
    groups: dict[str, Any] = {f"by_{name}": {} for name in ("source", "domain", "language", "licence")}
    duplicates = {"clusters": 0, "documents": 0, "removed": 0, "largest": [], "sizes": {}}
    return {"format": 1, **counts, "flow": [], **groups, "duplicates": duplicates, "edits": {}, "quarantine": 0}


def _count(table: pa.Table) -> dict[str, int]:
    import pyarrow.compute as pc

    return {"documents": table.num_rows, "bytes": pc.sum(table["bytes"]).as_py() or 0}


def _flow(table: pa.Table) -> list[dict[str, Any]]:
    groups = table.group_by(list(REASON)).aggregate([("bytes", "count"), ("bytes", "sum")]).to_pylist()
    order = {phase: number for number, phase in enumerate(PHASES)}
    steps = [
        {key: row[key] or "" for key in REASON} | {"documents": row["bytes_count"], "bytes": row["bytes_sum"]}
        for row in groups
    ]
    return sorted(steps, key=lambda row: (order.get(row["phase"], 99), -row["documents"], row["step"], row["reason"]))


def _by(table: pa.Table, column: str) -> dict[str, dict[str, int]]:
    sums = [("bytes", "count"), ("bytes", "sum"), ("kept_documents", "sum"), ("kept_bytes", "sum")]
    groups = table.group_by([column]).aggregate(sums).to_pylist()
    groups.sort(key=lambda row: (-row["kept_bytes_sum"], -row["bytes_sum"], row[column] or ""))
    return {
        row[column] or "": {
            "documents": row["bytes_count"],
            "bytes": row["bytes_sum"],
            "kept_documents": row["kept_documents_sum"],
            "kept_bytes": row["kept_bytes_sum"],
        }
        for row in groups
    }


def _duplicates(path: Path) -> dict[str, Any]:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if not path.exists():
        return _empty()["duplicates"]
    table = pq.read_table(path, columns=["cluster", "representative", "size", "kind"])
    firsts = table.filter(table["representative"]).sort_by([("size", "descending"), ("cluster", "ascending")])
    sizes = pc.value_counts(firsts["size"]).to_pylist()
    return {
        "clusters": firsts.num_rows,
        "documents": table.num_rows,
        "removed": table.num_rows - firsts.num_rows,
        "largest": firsts.slice(0, 10).select(["cluster", "size", "kind"]).to_pylist(),
        "sizes": {str(row["values"]): row["counts"] for row in sorted(sizes, key=lambda row: row["values"])},
    }


def _edits(folder: Path) -> dict[str, dict[str, int]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = [pq.read_table(path, columns=["id", "kind"]) for path in sorted(folder.glob("edits/part-*.parquet"))]
    if not tables:
        return {}
    groups = pa.concat_tables(tables).group_by(["kind"]).aggregate([("id", "count"), ("id", "count_distinct")])
    found = sorted(groups.to_pylist(), key=lambda row: row["kind"])
    return {row["kind"]: {"edits": row["id_count"], "documents": row["id_count_distinct"]} for row in found}


def _token_files(folder: Path) -> dict[str, int]:
    """What came as token ids, and how much of it is parts of files; nothing where nothing did."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    found = {"documents": 0, "tokens": 0, "coarse": 0}
    for path in sorted(folder.glob("media/part-*.parquet")):
        wanted = pc.equal(pq.read_table(path, columns=["media_type"])["media_type"], TOKENS)
        if pc.any(wanted).as_py():
            metas = pq.read_table(folder / "documents" / path.name, columns=["meta"])["meta"].filter(wanted).to_pylist()
            about = [json.loads(meta or "{}") for meta in metas]
            found["documents"] += len(about)
            found["tokens"] += sum(one.get("tokens", 0) for one in about)
            found["coarse"] += sum(one.get("provenance") == COARSE for one in about)
    return found if found["documents"] else {}


def _lines(path: Path) -> int:
    if not path.exists():
        return 0
    with path.open("rb") as file:
        return sum(1 for _ in file)
