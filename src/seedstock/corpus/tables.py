"""Parquet files that are whole or not there, and equal where their rows are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from seedstock.ledger.files import atomic

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP = 4096  # rows: a reader that wants one document decodes no more than these
MEDIA_GROUP = 64  # rows of media/, where a row is some 10 kB to 10 MB


def write(path: Path, table: pa.Table, row_group: int = ROW_GROUP) -> None:
    """Writes a table atomically; equal rows give equal bytes under one version of pyarrow."""
    import pyarrow.parquet as pq

    with atomic(path) as file:
        # One chunk a column first: pages follow chunk boundaries, which depend on how the rows came in.
        pq.write_table(table.combine_chunks(), file, compression="zstd", row_group_size=row_group)


def part(number: int) -> str:
    """The file name of a part."""
    return f"part-{number:05d}.parquet"
