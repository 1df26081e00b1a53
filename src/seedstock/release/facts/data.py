"""What the model was trained on: sources, licences, languages, and what the corpus steps did."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedstock.ledger.files import read_json
from seedstock.release.records import Records

if TYPE_CHECKING:
    import pyarrow as pa

PRIVATE = {"path", "paths", "files", "folder", "root"}
FORGOTTEN = "forgotten"
UNDECLARED = "undeclared"


def collect(records: Records) -> dict[str, Any]:
    """Facts of the corpus and of what was put into shards.

    Tokens and documents of ``splits``, ``by_…`` and ``sources`` are those of the shards, bytes those of the documents'
    text before edits; ``steps`` are the corpus's own summary.
    """
    corpus, shards = records.stage("corpus"), records.stage("shards")
    summary, table = read_json(corpus / "summary.json"), trained_table(corpus, shards)
    train = table.filter(_equal(table, "split", "train"))
    groups = {f"by_{name}": _by(train, name) for name in ("source", "domain", "language", "licence")}
    erased = {one for body in records.chain.of("tombstone") for one in body["ids"]}
    return {
        "sources": [_source(source, summary, groups["by_source"], train) for source in records.recipe["sources"]],
        "splits": {name: _sums(table.filter(_equal(table, "split", name))) for name in ("train", "held_out")},
        **groups,
        "steps": {name: summary[name] for name in ("read", "kept", "changed", "dropped", "held_out", "flow")},
        "duplicates": summary["duplicates"],
        "edits": summary["edits"],
        "quarantine": summary["quarantine"],
        "audit": _audit(summary.get("audit")),
        "token_files": summary.get("token_files"),
        "forgotten": len(erased),
        "corpus": _settings(records.recipe.get("corpus", {})),
        "strata": _strata(records, shards),
    }


def trained_table(corpus: Path, shards: Path) -> pa.Table:
    """A row for each document in the shards: id, split, source, domain, language, licence, bytes, tokens."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from seedstock.corpus.summary import rows

    found = []
    tokens = {split: _tokens(shards, split) for split in ("train", "held_out")}
    for table in rows(corpus, "id", "source", "domain", "bytes"):
        erased = pc.equal(table["decision"], FORGOTTEN)
        for split, known in tokens.items():
            # An erased document was trained on, and is still in the table of its shard.
            own = table.filter(pc.or_(pc.equal(table["split"], split), erased))
            at = pc.index_in(own["id"], known["id"])
            own = own.append_column("tokens", known["tokens"].take(at)).filter(pc.is_valid(at))
            licence = pc.if_else(pc.equal(own["decision"], FORGOTTEN), FORGOTTEN, own["licence"])
            columns = {name: own[name] for name in ("id", "source", "domain", "language", "bytes", "tokens")}
            found.append(
                pa.table(columns | {"licence": licence, "split": pa.array([split] * own.num_rows, pa.string())})
            )
    return pa.concat_tables(found)


def _tokens(shards: Path, split: str) -> pa.Table:
    """The ids of a split's documents and their tokens, by the tables of the shards."""
    import numpy as np
    import pyarrow as pa

    from seedstock.inputs.shards import Shards

    reader = Shards.open(shards)
    tables = [reader.documents(split, stratum.stratum) for stratum in reader.strata(split)]
    ids = b"".join(np.ascontiguousarray(table).tobytes() for table, _ in tables)
    counts = np.concatenate([np.diff(starts) for _, starts in tables]) if tables else np.zeros(0, np.int64)
    names = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(counts), [None, pa.py_buffer(ids)])
    return pa.table({"id": names, "tokens": pa.array(counts, pa.int64())})


def _equal(table: pa.Table, column: str, value: str) -> Any:
    import pyarrow.compute as pc

    return pc.equal(table[column], value)


def _sums(table: pa.Table) -> dict[str, int]:
    import pyarrow.compute as pc

    return {"documents": table.num_rows, **{name: pc.sum(table[name]).as_py() or 0 for name in ("bytes", "tokens")}}


def _by(table: pa.Table, column: str) -> list[dict[str, Any]]:
    """Sums by the values of a column, the most tokens first, with their share of all tokens."""
    found = table.group_by([column]).aggregate([("tokens", "count"), ("bytes", "sum"), ("tokens", "sum")]).to_pylist()
    total = sum(row["tokens_sum"] for row in found)
    groups = [
        {
            "name": row[column] or "unknown",
            "documents": row["tokens_count"],
            "bytes": row["bytes_sum"],
            "tokens": row["tokens_sum"],
            "share": row["tokens_sum"] / total if total else 0.0,
        }
        for row in found
    ]
    return sorted(groups, key=lambda group: (-group["tokens"], group["name"]))


def _source(
    source: dict[str, Any], summary: dict[str, Any], trained: list[dict[str, Any]], train: pa.Table
) -> dict[str, Any]:
    """The register entry of a source, as far as a person declared it, and its counts.

    ``licences`` are those of its documents, each under its own; ``by_document`` tells that all of them have one.
    """
    name = source["name"]
    declared = ("kind", "description", "url", "licence", "licence_evidence", "acquisition", "period", "personal_data")
    counts = summary["by_source"].get(name, {})
    own = next((group for group in trained if group["name"] == name), {})
    licences = [group["name"] for group in _by(train.filter(_equal(train, "source", name)), "licence")]
    by_document = licences and UNDECLARED not in licences
    return {
        "name": name,
        **{key: source.get(key) for key in declared},
        "by_document": bool(by_document),
        "licences": licences,
        "read": {key: counts.get(key, 0) for key in ("documents", "bytes")},
        "kept": {key: counts.get(f"kept_{key}", 0) for key in ("documents", "bytes")},
        "trained": {key: own.get(key, 0) for key in ("documents", "bytes", "tokens")},
    }


def _audit(audit: dict[str, Any] | None) -> dict[str, Any] | None:
    """Which groups the corpus steps left out more often than others; None of a corpus that was not audited."""
    if audit is None:
        return None
    flags = [
        {**flag, "at": None if flag["step"] is None else audit["steps"][flag["step"]]}
        for flag in audit["flags"]
        if flag["certain"]
    ]
    perhaps = len(audit["flags"]) - len(flags)
    return {"test": audit["test"], "by": list(audit["by"]), "flags": flags, "perhaps": perhaps} | {
        "machine": audit.get("machine")
    }


def _settings(corpus: dict[str, Any]) -> dict[str, Any]:
    """The corpus part of the recipe, less where files lie on the machine that built it."""
    asked = corpus.get("decontaminate") or []
    files = [Path(file).name for file in (asked["files"] if isinstance(asked, dict) else asked)]
    return {key: value for key, value in corpus.items() if key not in PRIVATE} | {"decontaminate": files}


def _strata(records: Records, shards: Path) -> list[dict[str, Any]]:
    """Tokens by stratum, and how often training passed over it."""
    from seedstock.inputs.plan import DataPlan
    from seedstock.inputs.shards import Shards

    record = records.chain.last("plan")
    passes = {}
    if record is not None:
        plan = DataPlan.from_json(record["plan"])
        passes = {one.stratum: one for one in plan.exposure(records.checkpoint["example"])}
    return [
        {
            "stratum": one.stratum,
            **{key: getattr(one, key) for key in ("source", "domain", "language", "documents", "tokens")},
            "examples": passes[one.stratum].examples if one.stratum in passes else 0,
            "epochs": passes[one.stratum].epochs if one.stratum in passes else 0.0,
        }
        for one in Shards.open(shards).strata("train")
    ]
