"""Parquet files: one document a row, one partition a row group."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from seedstock.corpus.sources.base import Item, Partition, Source, Unreadable, share
from seedstock.corpus.sources.files import find, problem, raw
from seedstock.corpus.sources.jsonl import Fields, as_item


class Parquet(Source):
    """Parquet files: one file, a folder, a glob, or a list of these; ``fields`` names the columns."""

    kind: Literal["parquet"] = "parquet"
    path: str | list[str]
    fields: Fields = Fields()

    def partitions(self) -> list[Partition]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        listed = []
        for file in find(self.path, (".parquet", ".pq"), f"source {self.name!r}"):
            try:
                groups = pq.read_metadata(raw(file.path))
            except (OSError, pa.ArrowException) as error:
                reason = f"cannot be read: {problem(error)}"
                listed.append(Partition(file.name, file.fingerprint, 0, (file.path, None, reason)))
                continue
            first = 0
            for number in range(groups.num_row_groups):
                group = groups.row_group(number)
                name = f"{file.name}:{number}"
                listed.append(Partition(name, file.fingerprint, group.total_byte_size, (file.path, number, first)))
                first += group.num_rows
        return share(listed, self.limit)

    def read(self, partition: Partition) -> Iterator[Item | Unreadable]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        path, group, first = partition.payload
        name = partition.name.rpartition(":")[0] if group is not None else partition.name
        if group is None:
            yield Unreadable(name, first)
            return
        row, seen = first, set[str]()
        try:
            for batch in pq.ParquetFile(raw(path)).iter_batches(batch_size=256, row_groups=[group]):
                for record in batch.to_pylist():
                    where = f"{name}:{row}"
                    yield as_item(record, self.fields, name, where, seen)
                    row += 1
        except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
            yield Unreadable(f"{name}:{row}", f"the file breaks off: {problem(error)}")
