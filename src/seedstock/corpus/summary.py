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
    select       [{step, documents, bytes, kept_documents, kept_bytes, by_source, by_domain, by_language}], where
                 there is a selection: what each of its steps was asked about and what it kept, groups as above
    edits        {kind: {edits, documents}}
    quarantine   how many documents or files could not be read
    audit        survival of groups through the steps (keys: seedstock.corpus.audit)
    measured     histograms of what rules look at (keys: seedstock.corpus.histograms)
    media        {MIME type: {documents, kept_documents, bytes}}, where there are any (bytes of the media)
    extraction   {mode: {documents, kept_documents}}, where pages of HTML were extracted
    token_files  {documents, tokens, coarse}, where some came as token ids: no step that needs their text looked at them
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedstock.corpus.media.types import COARSE, TOKENS

if TYPE_CHECKING:
    import pyarrow as pa

    from seedstock.corpus.rules import Rule

PHASES = ("read", "filter", "dedup", "split", "decontaminate", "select", "edit")
REASON = ("phase", "step", "reason")
GROUPS = ("source", "domain", "language", "licence")
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


def summarise(
    folder: Path, selected: Sequence[dict[str, Any]] = (), rules: Sequence[Rule] | None = None
) -> dict[str, Any]:
    """Counts a corpus folder's documents, decisions, clusters, edits and quarantine (keys: see the module).

    ``selected`` are the steps of the selection with their counts, which the tables do not tell apart;
    ``rules`` are those of the policy, found in the manifest of a sealed folder.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from seedstock.corpus.audit import audit
    from seedstock.corpus.contents import contents
    from seedstock.corpus.histograms import histograms

    folder = Path(folder)
    rules = _rules(folder) if rules is None else rules
    counts: Counter[str] = Counter()
    flow: Counter[tuple[str, ...]] = Counter()
    by: dict[str, dict[str, Counter[str]]] = {name: {} for name in GROUPS}
    for table in rows(folder, "source", "domain", "bytes"):  # what is added up is small, whatever the corpus is
        dropped = pc.equal(table["decision"], "dropped")
        kept = pc.invert(dropped)
        table = table.append_column("kept_bytes", pc.if_else(kept, table["bytes"], 0))
        table = table.append_column("kept_documents", kept.cast(pa.int64()))
        for name, chosen in (
            ("read", pc.or_(kept, dropped)),
            ("kept", kept),
            ("dropped", dropped),
            ("changed", pc.equal(table["decision"], "changed")),
            ("held_out", pc.and_(kept, pc.equal(table["split"], "held_out"))),
        ):
            counts[f"{name} documents"] += pc.sum(chosen).as_py() or 0
            counts[f"{name} bytes"] += pc.sum(pc.if_else(chosen, table["bytes"], 0)).as_py() or 0
        flow += _flow(table.select([*REASON, "bytes"]).filter(dropped))
        for name in GROUPS:
            for value, found in _by(table, name).items():
                by[name][value] = by[name].get(value, Counter()) + found
    if not counts:
        return _empty() | {"quarantine": _lines(folder / "quarantine.jsonl")}
    made = _token_files(folder)
    return {
        "format": 1,
        **({"token_files": made} if made else {}),
        **{
            name: {about: counts[f"{name} {about}"] for about in ("documents", "bytes")}
            for name in ("read", "kept", "changed", "dropped", "held_out")
        },
        "flow": _steps(flow),
        **{f"by_{name}": _ranked(by[name]) for name in GROUPS},
        "duplicates": _duplicates(folder / "clusters.parquet"),
        **({"select": list(selected)} if selected else {}),
        "edits": _edits(folder),
        "quarantine": _lines(folder / "quarantine.jsonl"),
        **contents(folder),
        "measured": histograms(folder, rules),
        "audit": audit(folder, rules, [step["step"] for step in selected]),
    }


def _rules(folder: Path) -> Sequence[Rule]:
    """The rules of the policy that a sealed corpus was made with; none where it is not sealed yet."""
    from seedstock.corpus.rules import Rule
    from seedstock.ledger import manifest

    if not manifest.is_sealed(folder):
        return ()
    policy = manifest.read(folder).inputs.get("corpus", {}).get("policy", {})
    return [Rule.model_validate(rule) for rule in policy.get("rules", ())]


def _empty() -> dict[str, Any]:
    none = {"documents": 0, "bytes": 0}
    counts = {name: dict(none) for name in ("read", "kept", "changed", "dropped", "held_out")}
    groups: dict[str, Any] = {f"by_{name}": {} for name in GROUPS}
    duplicates = {"clusters": 0, "documents": 0, "removed": 0, "largest": [], "sizes": {}}
    return {"format": 1, **counts, "flow": [], **groups, "duplicates": duplicates, "edits": {}, "quarantine": 0}


def _flow(table: pa.Table) -> Counter[tuple[str, ...]]:
    """Documents and bytes of each (phase, step, reason): (…, "documents") and (…, "bytes")."""
    found: Counter[tuple[str, ...]] = Counter()
    for row in (
        table.group_by(list(REASON), use_threads=False).aggregate([("bytes", "count"), ("bytes", "sum")]).to_pylist()
    ):
        why = tuple(row[key] or "" for key in REASON)
        found[*why, "documents"] += row["bytes_count"]
        found[*why, "bytes"] += row["bytes_sum"]
    return found


def _steps(flow: Counter[tuple[str, ...]]) -> list[dict[str, Any]]:
    order = {phase: number for number, phase in enumerate(PHASES)}
    whys = {key[:-1] for key in flow}
    steps = [
        {**dict(zip(REASON, why, strict=True)), **{about: flow[*why, about] for about in ("documents", "bytes")}}
        for why in whys
    ]
    return sorted(steps, key=lambda row: (order.get(row["phase"], 99), -row["documents"], row["step"], row["reason"]))


def _by(table: pa.Table, column: str) -> dict[str, Counter[str]]:
    sums = [("bytes", "count"), ("bytes", "sum"), ("kept_documents", "sum"), ("kept_bytes", "sum")]
    names = {"documents": "bytes_count", "bytes": "bytes_sum"}
    names |= {name: f"{name}_sum" for name in ("kept_documents", "kept_bytes")}
    found: dict[str, Counter[str]] = {}
    for row in table.group_by([column], use_threads=False).aggregate(sums).to_pylist():
        own = Counter({name: row[key] for name, key in names.items()})
        found[row[column] or ""] = found.get(row[column] or "", Counter()) + own
    return found


def _ranked(groups: dict[str, Counter[str]]) -> dict[str, dict[str, int]]:
    order = sorted(groups, key=lambda name: (-groups[name]["kept_bytes"], -groups[name]["bytes"], name))
    names = ("documents", "bytes", "kept_documents", "kept_bytes")
    return {value: {name: groups[value][name] for name in names} for value in order}


def _duplicates(path: Path) -> dict[str, Any]:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if not path.exists():
        return _empty()["duplicates"]
    table = pq.read_table(path, columns=["cluster", "representative", "size", "kind"])
    kept = table.filter(table["representative"])
    # Of what is chained to others and like none of them, nothing was removed.
    firsts = kept.filter(pc.greater(kept["size"], 1)).sort_by([("size", "descending"), ("cluster", "ascending")])
    sizes = pc.value_counts(firsts["size"]).to_pylist()
    return {
        "clusters": firsts.num_rows,
        "documents": table.num_rows,
        "removed": table.num_rows - kept.num_rows,
        "largest": firsts.slice(0, 10).select(["cluster", "size", "kind"]).to_pylist(),
        "sizes": {str(row["values"]): row["counts"] for row in sorted(sizes, key=lambda row: row["values"])},
    }


def _edits(folder: Path) -> dict[str, dict[str, int]]:
    import pyarrow.parquet as pq

    found: dict[str, dict[str, int]] = {}
    for path in sorted(folder.glob("edits/part-*.parquet")):  # a document's edits lie in one part
        groups = pq.read_table(path, columns=["id", "kind"]).group_by(["kind"])
        for row in groups.aggregate([("id", "count"), ("id", "count_distinct")]).to_pylist():
            own = found.setdefault(row["kind"], {"edits": 0, "documents": 0})
            own["edits"] += row["id_count"]
            own["documents"] += row["id_count_distinct"]
    return dict(sorted(found.items()))


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
