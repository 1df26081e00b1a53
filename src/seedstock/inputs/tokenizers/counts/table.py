"""Tables of words and counts on disk: sorted by group and word, so that any number of them merge as streams.

A table is one Parquet file with the columns ``group`` (a JSON list of names), ``word`` (large_binary) and ``count``
(int64). Every row group is of one group of documents, whose rows are sorted by word.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

BLOCK = 1 << 17  # rows that a stream holds at once
FAN = 32  # streams that are merged at once; more of them in rounds

Group = tuple[str, ...]


def write(path: Path, groups: Iterable[tuple[Group, Iterable[Any]]]) -> None:
    """Writes (group, its Arrow tables in the order of words) as one file, whole or not at all.

    Raises SeedstockError where the disk is full or refuses.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from seedstock.ledger.files import atomic

    schema = pa.schema({"group": pa.string(), "word": pa.large_binary(), "count": pa.int64()})
    with atomic(path) as file, pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True) as writer:
        for group, tables in groups:
            name = json.dumps(group, ensure_ascii=False)
            for table in tables:
                for start in range(0, table.num_rows, BLOCK):
                    part = table.slice(start, BLOCK).select(["word", "count"])
                    names = pa.repeat(pa.scalar(name), part.num_rows)
                    writer.write_table(part.add_column(0, "group", names))


def groups(path: Path) -> list[Group]:
    """The group of each row group. Raises OSError or ValueError where the file is damaged."""
    import pyarrow.parquet as pq

    found = pq.read_metadata(path)
    rows = (found.row_group(number).column(0).statistics for number in range(found.num_row_groups))
    return [tuple(json.loads(row.min)) for row in rows]


def stream(path: Path, group: Group) -> Iterator[Any]:
    """The Arrow tables of one group, in the order of words."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        for number, owner in enumerate(groups(path)):
            if owner == group:
                yield file.read_row_group(number, ["word", "count"], use_threads=False)


def merge(streams: Sequence[Iterator[Any]], folder: Path) -> Iterator[Any]:
    """One stream of distinct words, in order, with the sums of their counts.

    Memory is that of a block of each of FAN streams; more streams are merged in rounds, through files in ``folder``.
    """
    todo, number = list(streams), 0
    while len(todo) > FAN:
        part, todo = todo[:FAN], todo[FAN:]
        path = folder / f"merged-{number:05d}.parquet"
        write(path, [((), merge(part, folder))])
        todo.append(stream(path, ()))
        number += 1
    heads = [head for head in map(_Head, todo) if head.table is not None]
    while heads:
        # Every stream has shown its words up to here: no more of them can come.
        bound = min(head.last for head in heads)
        ready = [part for head in heads if (part := head.take(bound)).num_rows]
        heads = [head for head in heads if head.table is not None]
        yield _summed(ready)


class _Head:
    """What a stream has shown and not given away yet."""

    def __init__(self, tables: Iterator[Any]) -> None:
        self._tables = tables
        self.table: Any = None
        self.last = b""
        self._advance()

    def _advance(self) -> None:
        self.table = next((table for table in self._tables if table.num_rows), None)
        if self.table is not None:
            self.last = self.table["word"][-1].as_py()

    def take(self, bound: bytes) -> Any:
        """The words up to ``bound``."""
        import pyarrow as pa
        import pyarrow.compute as pc

        count = pc.sum(pc.less_equal(self.table["word"], pa.scalar(bound, pa.large_binary()))).as_py()
        part, rest = self.table.slice(0, count), self.table.slice(count)
        self.table = rest
        if not rest.num_rows:
            self._advance()
        return part


def _summed(tables: Sequence[Any]) -> Any:
    """Tables of words as one, in order, each word once."""
    import pyarrow as pa

    if len(tables) == 1:
        return tables[0]
    whole = pa.concat_tables(tables).group_by("word", use_threads=False).aggregate([("count", "sum")])
    return whole.select(["word", "count_sum"]).rename_columns(["word", "count"]).sort_by("word")
