"""What deduplication reads: documents in parts, of each only the columns that a step asks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa


class Part(Protocol):
    """A run of documents, in the order of the corpus. Parts travel to workers by pickle."""

    @property
    def rows(self) -> int:
        """How many documents."""
        ...

    def has(self, name: str) -> bool:
        """Whether there is such a column."""
        ...

    def read(self, names: Sequence[str]) -> pa.Table:
        """These columns: of text_sha256, text, source, locator, url, meta, bytes, id, media, or a signal's."""
        ...


class InMemory:
    """A part that is an Arrow table."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    @property
    def rows(self) -> int:
        return self.table.num_rows

    def has(self, name: str) -> bool:
        return name in self.table.column_names

    def read(self, names: Sequence[str]) -> pa.Table:
        return self.table.select(list(names))


class Chosen:
    """Some rows of another part."""

    def __init__(self, part: Part, chosen: np.ndarray) -> None:
        self.part, self.chosen = part, chosen

    @property
    def rows(self) -> int:
        return len(self.chosen)

    def has(self, name: str) -> bool:
        return self.part.has(name)

    def read(self, names: Sequence[str]) -> pa.Table:
        return take(self.part.read(names), self.chosen)


class Earlier:
    """A part of an earlier corpus: the documents that it kept."""

    def __init__(self, folder: Path, name: str) -> None:
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        self.folder, self.name = folder, name
        decided = pq.read_table(folder / "decisions" / name, columns=["split"])["split"]
        self.chosen = np.flatnonzero(pc.not_equal(decided, "").to_numpy(zero_copy_only=False))

    @property
    def rows(self) -> int:
        return len(self.chosen)

    def has(self, name: str) -> bool:
        return name not in ("media",) and ("@" not in name or self._signal(name).exists())

    def read(self, names: Sequence[str]) -> pa.Table:
        import pyarrow.parquet as pq

        plain = [name for name in names if "@" not in name]
        path = self.folder / "documents" / self.name
        table = take(pq.read_table(path, columns=plain or ["bytes"]), self.chosen)
        for name in names:
            if "@" in name:
                _, _, column = name.partition(".")
                found = pq.read_table(self._signal(name), columns=[column])[column]
                table = table.append_column(name, take(found, self.chosen))
        return table.select(list(names))

    def _signal(self, name: str) -> Path:
        return self.folder / "signals" / name.partition(".")[0] / self.name


def earlier(folder: Path) -> list[Earlier]:
    """The parts of an earlier corpus."""
    return [Earlier(folder, path.name) for path in sorted((folder / "documents").glob("part-*.parquet"))]


def take(values: Any, rows: np.ndarray) -> Any:
    """Some rows of a table or column."""
    import pyarrow as pa

    return values.take(pa.array(rows, pa.int64()))


def texts(parts: Sequence[Part], rows: np.ndarray) -> Iterator[tuple[np.ndarray, pa.Array]]:
    """For each part, those of ``rows`` (ascending, over all parts) that lie in it, and their texts."""
    first = 0
    for part in parts:
        begin, end = np.searchsorted(rows, [first, first + part.rows])
        inside = rows[begin:end]
        if len(inside):
            column = part.read(["text"])["text"]
            yield inside, whole(take(column, inside - first) if len(inside) < part.rows else column)
        first += part.rows


def whole(column: pa.ChunkedArray) -> pa.Array:
    """A text column as one large_string array."""
    import pyarrow as pa

    return pa.chunked_array(column.chunks, column.type).cast(pa.large_string()).combine_chunks()


def firsts(parts: Sequence[Part]) -> np.ndarray:
    """The row that each part begins with, and the number of all rows: int64 [parts + 1]."""
    return np.cumsum([0, *(part.rows for part in parts)]).astype(np.int64)
