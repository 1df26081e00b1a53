"""Pictures with captions: webdataset tar archives, folders, a folder with a table, Parquet with bytes or URLs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from seedstock.corpus.sources.base import Item, Partition, Unreadable, share
from seedstock.corpus.sources.captions import captions
from seedstock.corpus.sources.fetch import Fetch, Fetcher, Refused
from seedstock.corpus.sources.files import find, problem, raw
from seedstock.corpus.sources.images import Pictures

ROWS = 64  # rows of a Parquet file in memory, which may be 64 pictures


class ImageText(Pictures):
    """A picture with its caption is a document; one without the other goes to quarantine.

    ``path`` is a tar archive, a folder, a glob or a list of these: ``NAME.png`` with ``NAME.txt`` or ``NAME.json``
    beside it, or ``captions``, a table for a folder. Parquet files hold the pictures in ``fields.bytes`` (bytes, or
    ``{bytes, path}`` as Hugging Face writes it), or their URLs in ``fields.url``: these are fetched, which
    ``fetch`` must allow. ``languages`` chooses among captions in several.
    """

    kind: Literal["image-text"] = "image-text"
    domain: str | None = "image-text"
    fetch: Fetch | None = None

    paired: ClassVar[bool] = True

    def partitions(self) -> list[Partition]:
        where = f"source {self.name!r}"
        files = find(self.path, (*self.suffixes, ".tar", ".txt", ".json", ".parquet"), where)
        tables = [file for file in files if file.name.lower().endswith(".parquet")]
        if not tables or len(tables) < len(files):
            return super().partitions()
        return share([part for file in tables for part in _row_groups(file)], self.limit)

    def read(self, partition: Partition) -> Iterator[Item | Unreadable]:
        if partition.payload[0] == "rows":
            yield from self._rows(partition)
        else:
            yield from super().read(partition)

    def _rows(self, partition: Partition) -> Iterator[Item | Unreadable]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        _, path, group, row, name = partition.payload
        if group is None:
            yield Unreadable(name, row)
            return
        fetcher = Fetcher(self.fetch) if self.fetch else None
        try:
            for batch in pq.ParquetFile(raw(path)).iter_batches(batch_size=ROWS, row_groups=[group]):
                for record in batch.to_pylist():
                    yield from self._pair(record, f"{name}:{row}", fetcher)
                    row += 1
        except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
            yield Unreadable(f"{name}:{row}", f"the file breaks off: {problem(error)}")

    def _pair(self, record: dict[str, Any], where: str, fetcher: Fetcher | None) -> Iterator[Item | Unreadable]:
        data, url = self.fields.take(record, "bytes"), self.fields.take(record, "url")
        if isinstance(data, dict):
            data = data.get("bytes")
        if not captions(self.fields, record):  # before it is fetched for nothing
            yield Unreadable(where, "a picture without its caption")
            return
        if data is None and url and fetcher is not None:
            try:
                data = fetcher.get(str(url))
            except Refused as error:
                yield Unreadable(where, f"not fetched: {error}")
                return
        if not isinstance(data, bytes):
            lacking = "; it has a URL, and fetch: is not set" if url and fetcher is None else ""
            yield Unreadable(where, f"a caption without its picture{lacking}")
            return
        yield from self.items(where, data, record)


def _row_groups(file: Any) -> Iterator[Partition]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        about = pq.read_metadata(raw(file.path))
    except (OSError, pa.ArrowException) as error:
        reason = f"cannot be read: {problem(error)}"
        yield Partition(file.name, file.fingerprint, 0, ("rows", file.path, None, reason, file.name))
        return
    first = 0
    for number in range(about.num_row_groups):
        group = about.row_group(number)
        payload = ("rows", file.path, number, first, file.name)
        yield Partition(f"{file.name}:{number}", file.fingerprint, group.total_byte_size, payload)
        first += group.num_rows
