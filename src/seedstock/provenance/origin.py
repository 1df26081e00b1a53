"""Where documents come from: what the corpus says of each, for many ids in one pass."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seedstock.corpus.reader import Corpus

_COLUMNS = ("source", "domain", "locator", "url", "licence", "title")


@dataclass(frozen=True)
class Origin:
    """A document's source, its place there, and its rights. Empty where the corpus does not say, or forgot it."""

    source: str = ""
    domain: str = ""
    locator: str = ""
    url: str = ""
    licence: str = ""
    title: str = ""
    language: str = ""


def origins(corpus: Corpus, ids: Iterable[bytes]) -> dict[bytes, Origin]:
    """The origin of each id that the corpus holds; of a document that was read twice, of the row that was kept."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    wanted = pa.array(sorted(set(ids)), pa.binary(16))
    found: dict[bytes, Origin] = {}
    kept: set[bytes] = set()
    for part in corpus.parts if len(wanted) else []:
        documents = pq.read_table(corpus.folder / "documents" / part, columns=["id", *_COLUMNS])
        decisions = pq.read_table(corpus.folder / "decisions" / part, columns=["decision", "language"])
        table = documents.append_column("language", decisions["language"])
        table = table.append_column("decision", decisions["decision"])
        for row in table.filter(pc.is_in(table["id"], wanted)).to_pylist():
            identity, decision = row.pop("id"), row.pop("decision")
            if identity not in found or (identity not in kept and decision != "dropped"):
                found[identity] = Origin(**{name: value or "" for name, value in row.items()})
            if decision != "dropped":
                kept.add(identity)
    return found
