"""Where documents come from: what the corpus says of each, for many ids in one pass."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seedstock.corpus.media.types import COARSE

if TYPE_CHECKING:
    from seedstock.corpus.reader import Corpus

_COLUMNS = ("source", "domain", "locator", "url", "licence", "title")


@dataclass(frozen=True)
class Origin:
    """A document's source, its place there, and its rights. Empty where the corpus does not say, or forgot it.

    ``provenance`` is ``coarse`` of a part of a file whose documents cannot be told apart.
    """

    source: str = ""
    domain: str = ""
    locator: str = ""
    url: str = ""
    licence: str = ""
    title: str = ""
    language: str = ""
    provenance: str = ""


def coarse(meta: dict[str, Any]) -> str:
    """``coarse`` by the meta of a document that came as token ids, else nothing."""
    return COARSE if meta.get("provenance") == COARSE and "tokens" in meta else ""


def origins(corpus: Corpus, ids: Iterable[bytes]) -> dict[bytes, Origin]:
    """The origin of each id that the corpus holds; of a document that was read twice, of the row that was kept."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    wanted = pa.array(sorted(set(ids)), pa.binary(16))
    found: dict[bytes, Origin] = {}
    kept: set[bytes] = set()
    for part in corpus.parts if len(wanted) else []:
        documents = pq.read_table(corpus.folder / "documents" / part, columns=["id", "meta", *_COLUMNS])
        decisions = pq.read_table(corpus.folder / "decisions" / part, columns=["decision", "language"])
        table = documents.append_column("language", decisions["language"])
        table = table.append_column("decision", decisions["decision"])
        for row in table.filter(pc.is_in(table["id"], wanted)).to_pylist():
            identity, decision = row.pop("id"), row.pop("decision")
            row["provenance"] = coarse(json.loads(row.pop("meta") or "{}"))
            if identity not in found or (identity not in kept and decision != "dropped"):
                found[identity] = Origin(**{name: value or "" for name, value in row.items()})
            if decision != "dropped":
                kept.add(identity)
    return found
