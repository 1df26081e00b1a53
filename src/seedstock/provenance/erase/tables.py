"""Takes documents out of the tables of a corpus folder; rows stay where they are, keyed ids stay as tombstones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedstock.corpus import report
from seedstock.corpus.documents import FORGOTTEN
from seedstock.corpus.tables import BESIDE
from seedstock.errors import IntegrityError
from seedstock.ledger.files import atomic, read_json
from seedstock.ledger.ids import sha256

if TYPE_CHECKING:
    import pyarrow as pa

KEPT = ("id", "source", "licence", "domain", "bytes")
TOMBSTONE = {
    "locator": FORGOTTEN,
    "meta": "{}",
    "text": "",
    "raw_sha256": bytes(32),
    "text_sha256": bytes.fromhex(sha256(b"")),
}
"""What a build writes for a document that it has to leave out; the other columns are null."""
REPORT = "report.html"
TEXTS = ("text", "title", "meta", "licence_evidence")


def is_corpus(folder: Path) -> bool:
    """Whether a sealed folder holds a corpus."""
    return (folder / "documents").is_dir() and (folder / "decisions").is_dir()


def parts(folder: Path) -> list[Path]:
    """The parts of documents/, in order."""
    return sorted((folder / "documents").glob("part-*.parquet"))


def find(folder: Path, column: str, value: str) -> set[bytes]:
    """The ids of documents whose ``column`` (url, locator) is ``value``."""
    found: set[bytes] = set()
    for table in _read(folder, ["id", column]):
        found.update(table.filter(_among(table[column], [value]))["id"].to_pylist())
    return found


def present(folder: Path, ids: frozenset[bytes]) -> set[bytes]:
    """Those of ``ids`` that the corpus holds, erased or not."""
    found: set[bytes] = set()
    for table in _read(folder, ["id"]):
        found.update(table.filter(_among(table["id"], ids))["id"].to_pylist())
    return found


def twins(folder: Path, ids: frozenset[bytes]) -> set[bytes]:
    """Every document that shares a dedup cluster with one of ``ids`` (they themselves included, where clustered).

    That a document of an earlier corpus stands for a cluster makes it one of them.
    """
    path = folder / "clusters.parquet"
    if not path.is_file():
        return set()
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = _table(path, ["id", "cluster", *({"matched"} & set(pq.read_schema(path).names))])
    if "matched" not in table.column_names:  # written before corpora were compared with each other
        table = table.append_column("matched", pa.nulls(table.num_rows, table["id"].type))
    found = _or(_among(table["id"], ids), _among(table["matched"], ids))
    clusters = set(table.filter(found)["cluster"].to_pylist())
    theirs = table.filter(_among(table["cluster"], clusters))
    return set(theirs["id"].to_pylist()) | set(theirs["matched"].drop_null().to_pylist())


def content(folder: Path, ids: frozenset[bytes]) -> tuple[list[str], list[str]]:
    """What is still there of documents: their texts, and what names them (locators, URLs that are theirs alone)."""
    texts: list[str] = []
    names: set[str] = set()
    urls: set[str] = set()
    for table in _read(folder, ["id", "url", "locator", *TEXTS]):
        rows = table.filter(_among(table["id"], ids)).to_pylist()
        rows = [row for row in rows if row["locator"] != FORGOTTEN or row["text"]]
        texts += [row[column] for row in rows for column in TEXTS if isinstance(row[column], str)]
        names.update(row["locator"] for row in rows if row["locator"])
        urls.update(row["url"] for row in rows if row["url"])
    for table in _read(folder, ["id", "url"]) if urls else ():
        shared = table.filter(_among(table["url"], urls))
        urls -= {row["url"] for row in shared.to_pylist() if row["id"] not in ids}
    return texts, sorted(names | urls)


def concerned(folder: Path, ids: frozenset[bytes]) -> list[str]:
    """The files that have to be rewritten when documents are erased."""
    found = []
    for path in parts(folder):
        if _rows(path, ids) is not None:
            found += [path, *_beside(folder, path)]
    if found and (folder / REPORT).is_file():
        found.append(folder / REPORT)
    return [path.relative_to(folder).as_posix() for path in found]


def erase(folder: Path, ids: frozenset[bytes], reason: str) -> None:
    """Erases rows in media/, maps/, signals/, edits/, decisions/, then in documents/; then makes the report again.

    ``strata.json`` and ``summary.json`` hold counts alone, and stay the record of what the models were trained on.
    """
    decided: dict[str, Any] = {
        "decision": FORGOTTEN,
        "phase": "forget",
        "step": "forget",
        "reason": reason,
        "split": "",
        "stratum": -1,
    }
    for path in parts(folder):
        rows = _rows(path, ids)
        if rows is None:
            continue
        for beside in _beside(folder, path):
            if beside.parent.name == "edits":
                _rewrite(beside, partial(_without, ids=ids))
            elif beside.parent.name == "maps":
                _rewrite(beside, partial(_set, rows=rows, values={"text": None, "raw": None}))
            elif beside.parent.name in BESIDE:
                _rewrite(beside, partial(_emptied, rows=rows, keep=("id",)))
            elif beside.parent.name == "decisions":
                _rewrite(beside, partial(_set, rows=rows, values=decided))
            else:
                _rewrite(beside, partial(_emptied, rows=rows, keep=()))
        _rewrite(path, partial(_emptied, rows=rows, keep=KEPT))
    if (folder / REPORT).is_file():
        report.write_report(folder, read_json(folder / "summary.json"))


def _beside(folder: Path, part: Path) -> list[Path]:
    """The files that lie row by row beside a part of documents/, and its edits."""
    others = [
        *sorted(folder.glob(f"signals/*/{part.name}")),
        *(folder / name / part.name for name in BESIDE),
        folder / "edits" / part.name,
        folder / "decisions" / part.name,
    ]
    return [path for path in others if path.is_file()]


def _read(folder: Path, columns: list[str]) -> Iterator[pa.Table]:
    for path in parts(folder):
        yield _table(path, columns)


def _table(path: Path, columns: list[str]) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path, columns=columns, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise IntegrityError(f"not readable as Parquet: {error}", where=path, fix="restore it from a copy") from error


def _among(column: Any, values: Iterable[Any]) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    return pc.fill_null(pc.is_in(column.cast(kind), pa.array(sorted(values), kind)), False)


def _or(left: Any, right: Any) -> Any:
    import pyarrow.compute as pc

    return pc.or_(left, right)


def _rows(path: Path, ids: frozenset[bytes]) -> Any:
    """A boolean array: which rows of a part are to be erased; None where none is."""
    import pyarrow.compute as pc

    found = _among(_table(path, ["id"])["id"], ids)
    return found.combine_chunks() if pc.any(found).as_py() else None


def _rewrite(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """Replaces a Parquet file by what ``change`` makes of it, with its compression and size of row groups."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    table = file.read(use_threads=False)
    changed = change(table)
    if changed.equals(table):
        return
    group = file.metadata.row_group(0) if file.metadata.num_row_groups else None
    codec = group.column(0).compression.lower() if group else "zstd"
    file.close()
    with atomic(path) as out:
        pq.write_table(changed, out, compression=codec, row_group_size=max(1, group.num_rows if group else 1))


def _set(table: pa.Table, rows: Any, values: Mapping[str, Any]) -> pa.Table:
    """Sets columns by name in some rows."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for number, field in enumerate(table.schema):
        if field.name in values:
            plain = table.column(number).combine_chunks()
            if pa.types.is_dictionary(field.type):
                plain = plain.dictionary_decode()
            column = pc.if_else(rows, pa.scalar(values[field.name], plain.type), plain)
            column = column.dictionary_encode().cast(field.type) if column.type != field.type else column
            table = table.set_column(number, field.with_nullable(True), column)
    return table


def _emptied(table: pa.Table, rows: Any, keep: Collection[str]) -> pa.Table:
    """Rows as they are where a document is left out: nulls, but for the columns in ``TOMBSTONE`` and ``KEPT``."""
    values = {name: TOMBSTONE.get(name) for name in table.column_names if name not in keep}
    return _set(table, rows, values)


def _without(table: pa.Table, ids: frozenset[bytes]) -> pa.Table:
    import pyarrow.compute as pc

    return table.filter(pc.invert(_among(table["id"], ids)))
