"""Parquet files that are whole or not there, and equal where their rows are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seedstock.ledger.files import atomic

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 4096  # rows at most: a reader that wants one document decodes no more than these
GROUP_BYTES = 2**20  # of text that these rows are to have
BESIDE = ("media", "maps")  # tables that lie beside the documents of those parts that have any
MEDIA_GROUP = 64  # rows of media/, where a row is some 10 kB to 10 MB


def write(path: Path, table: pa.Table, row_group: int | None = None) -> None:
    """Writes a table atomically; equal rows give equal bytes under one version of pyarrow."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if row_group is None:
        text = pc.sum(table["bytes"]).as_py() or 0 if {"text", "bytes"} <= set(table.column_names) else 0
        row_group = min(ROW_GROUP, max(64, table.num_rows * GROUP_BYTES // max(1, text)))
    with atomic(path) as file, pq.ParquetWriter(file, table.schema, compression="zstd") as writer:
        for start in range(0, table.num_rows, row_group):
            # One chunk a column: pages follow chunk boundaries, which depend on how the rows came in.
            writer.write_table(table.slice(start, row_group).combine_chunks(), row_group_size=row_group)


def some(path: Path, rows: Sequence[int], columns: Sequence[str]) -> pa.Table:
    """Some rows of a file (ascending numbers); only the row groups that they lie in are read."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        ends = np.cumsum([file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)])
        group_of = np.searchsorted(ends, rows, side="right")
        groups = np.unique(group_of)
        table = file.read_row_groups(groups.tolist(), columns=list(columns))
    sizes = np.diff(ends, prepend=0)
    # How far each group moved up, where others before it were not read.
    starts = np.zeros(len(ends), np.int64)
    starts[groups] = np.cumsum(sizes[groups]) - sizes[groups]
    at = np.asarray(rows) - (ends - sizes)[group_of] + starts[group_of]
    return table.take(pa.array(at, pa.int64()))


def part(number: int) -> str:
    """The file name of a part."""
    return f"part-{number:05d}.parquet"
