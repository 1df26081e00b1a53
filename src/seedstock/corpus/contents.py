"""What kinds of documents a corpus holds: media by type, and by which extractor pages became text."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from seedstock.corpus.summary import parts

_BY = r'"extract": \{"by": "(?P<by>[^"\\]{1,80})"'


def contents(folder: Path) -> dict[str, Any]:
    """``{media: {MIME type: {documents, kept_documents, bytes}}, extraction: {mode: {documents, kept_documents}}}``.

    Either is left out where no document has any; ``bytes`` are those of the media.
    """
    media: dict[str, Counter[str]] = {}
    extraction: dict[str, Counter[str]] = {}
    for part in parts(folder):
        _media(folder, part, media)
        _extraction(folder, part, extraction)
    names = {"media": ("documents", "kept_documents", "bytes"), "extraction": ("documents", "kept_documents")}
    return {
        about: {name: {key: found[name][key] for key in names[about]} for name in _ranked(found)}
        for about, found in (("media", media), ("extraction", extraction))
        if found
    }


def _ranked(found: dict[str, Counter[str]]) -> list[str]:
    return sorted(found, key=lambda name: (-found[name]["documents"], name))


def _kept(folder: Path, part: str) -> Any:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    return pc.not_equal(pq.read_table(folder / "decisions" / part, columns=["decision"])["decision"], "dropped")


def _media(folder: Path, part: str, media: dict[str, Counter[str]]) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    path = folder / "media" / part
    if not path.exists():
        return
    kept = _kept(folder, part).cast(pa.int64()).to_numpy()
    first = 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=256, columns=["media_type", "bytes"]):
            sizes = pc.fill_null(pc.binary_length(batch["bytes"]), 0).to_pylist()
            for row, kind in enumerate(batch["media_type"].to_pylist()):
                if kind is not None:
                    found = media.setdefault(kind, Counter())
                    found["documents"] += 1
                    found["kept_documents"] += int(kept[first + row])
                    found["bytes"] += sizes[row]
            first += batch.num_rows


def _extraction(folder: Path, part: str, extraction: dict[str, Counter[str]]) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    metas = pq.read_table(folder / "documents" / part, columns=["meta"])["meta"].combine_chunks()
    if not pc.any(pc.match_substring(metas, '"extract": {')).as_py():
        return
    modes = pc.struct_field(pc.extract_regex(metas, _BY), "by")
    table = pa.table({"by": modes, "kept": _kept(folder, part).cast(pa.int64())})
    counted = table.filter(modes.is_valid()).group_by(["by"]).aggregate([("kept", "count"), ("kept", "sum")])
    for row in counted.to_pylist():
        found = extraction.setdefault(row["by"], Counter())
        found["documents"] += row["kept_count"]
        found["kept_documents"] += row["kept_sum"]
