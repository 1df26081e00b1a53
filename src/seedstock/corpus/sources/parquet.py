"""Parquet files: one document a row, one partition a row group."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from seedstock.corpus.sources.base import Item, Partition, Source, Unreadable, share
from seedstock.corpus.sources.files import find, problem, raw
from seedstock.corpus.sources.jsonl import Fields, as_item
from seedstock.corpus.sources.ranges import changed, whole


class Parquet(Source):
    """Parquet files: one file, a folder, a glob, a URL, or a list of these; ``fields`` names the columns."""

    version: ClassVar[int] = 2
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
                names = groups.schema.to_arrow_schema().names
            except (OSError, pa.ArrowException) as error:
                reason = f"cannot be read: {problem(error)}"
                listed.append(Partition(file.name, file.fingerprint, 0, (whole(file).payload, None, reason)))
                continue
            if self.fields.text not in names:
                reason = f"there is no column {self.fields.text!r}; there are {', '.join(names)[:200]}"
                listed.append(Partition(file.name, file.fingerprint, 0, (whole(file).payload, None, reason)))
                continue
            first = 0
            for number in range(groups.num_row_groups):
                group = groups.row_group(number)
                name = f"{file.name}:{number}"
                listed.append(
                    Partition(name, file.fingerprint, group.total_byte_size, (whole(file).payload, number, first))
                )
                first += group.num_rows
        return share(listed, self.limit)

    def read(self, partition: Partition) -> Iterator[Item | Unreadable]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        file, group, first = partition.payload
        name = file.name
        if group is None:
            yield Unreadable(name, first)
            return
        row = first
        try:
            for batch in pq.ParquetFile(raw(file.path)).iter_batches(batch_size=256, row_groups=[group]):
                for record in batch.to_pylist():
                    where = f"{name}:{row}"
                    yield as_item(record, self.fields, name, where, row)
                    row += 1
        except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
            yield Unreadable(f"{name}:{row}", f"the file breaks off: {problem(error)}")
            return
        yield from changed(file)
