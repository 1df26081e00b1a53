"""Token files made elsewhere: ids as they are, a document for each that the format tells apart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from seedstock.config import Count
from seedstock.corpus.media.types import COARSE, TOKENS
from seedstock.corpus.sources.base import LONGEST, Item, Partition, Source, Unreadable, share
from seedstock.corpus.sources.files import Found, find
from seedstock.corpus.sources.streams import problem, raw, stream
from seedstock.corpus.sources.token_formats import (
    Damaged,
    Stored,
    as_ids,
    datatrove,
    dolma,
    mds_ids,
    mds_rows,
    megatron,
    plain,
)
from seedstock.errors import DataError

CHUNK = 1 << 23  # tokens of a partition
SHARD = 1 << 30  # bytes of one MDS shard
LONGEST_DOCUMENT = 1 << 24  # tokens: what is longer is cut, and coarse
_SUFFIXES = {
    "nanogpt": (".bin",),
    "megatron": (".bin",),
    "dolma": (".npy",),
    "datatrove": (".ds",),
    "mds": ("index.json",),
    "input_ids": (".parquet", ".arrow"),
}


class Tokens(Source):
    """Files of token ids, which go into the shards as they are; ``tokenizer`` is the one that they were made with.

    It must be the recipe's own (``tokenizer: {kind: imported, path: …}``). Formats: ``nanogpt`` (``.bin`` of uint16, or
    of llm.c), ``megatron`` (``.bin`` with ``.idx``), ``dolma`` (``.npy`` with ``.csv.gz``), ``datatrove`` (``.ds`` with
    ``.index``), ``mds`` (mosaic streaming: a folder with ``index.json``), ``input_ids`` (Hugging Face: Parquet, Arrow).
    Where a format does not tell documents apart, ``separator`` is the id that ends each; without it a document is
    ``piece`` tokens of a file, and its provenance is marked coarse. Rows of one and the same length count as packed,
    and coarse. There is no text, so nothing of the corpus is measured, filtered by text or deduplicated.
    """

    kind: Literal["tokens"] = "tokens"
    path: str | list[str]
    format: Literal["nanogpt", "megatron", "dolma", "datatrove", "mds", "input_ids"]
    tokenizer: str
    dtype: Literal["uint16", "uint32", "int32", "int64"] | None = None
    separator: Annotated[Count, Field(ge=0)] | None = None
    piece: Annotated[Count, Field(ge=1, le=LONGEST_DOCUMENT)] = 1 << 20
    column: str | None = None

    def partitions(self) -> list[Partition]:
        where = f"source {self.name!r}"
        listed: list[Partition] = []
        for file in find(self.path, _SUFFIXES[self.format], where):
            try:
                listed += self._mds(file) if self.format == "mds" else self._parts(file)
            except FileNotFoundError as error:
                raise DataError(
                    "its index is missing", where=f"{where}: {file.path}", fix="keep the files of a set together"
                ) from error
            except (OSError, ValueError, KeyError, TypeError) as error:
                reason = f"cannot be read: {problem(error)}"
                listed.append(Partition(file.name, file.fingerprint, file.bytes, ("damaged", reason)))
        return share(listed, self.limit)

    def read(self, partition: Partition) -> Iterator[Item | Unreadable]:
        how, *payload = partition.payload
        if how == "damaged":
            yield Unreadable(partition.name, payload[0])
            return
        reader: Any = {"rows": self._rows, "arrow": self._arrow, "shard": self._shard, "run": self._documents}[how]
        name = partition.name.rpartition(":")[0] if how in ("rows", "run") else partition.name
        try:
            yield from reader(name, *payload)
        except (OSError, ValueError) as error:
            yield Unreadable(partition.name, f"the file breaks off: {problem(error)}")

    def _parts(self, file: Found) -> Iterator[Partition]:
        if self.format == "input_ids":
            yield from _tables(file)
            return
        stored = _opened(self.format, file.path, self.dtype, file.fingerprint)
        size = file.bytes / max(1, stored.tokens)
        bounds = stored.starts
        if bounds is None:
            cuts = list(range(0, stored.tokens, max(CHUNK // self.piece, 1) * self.piece))
            cuts = [*cuts, stored.tokens] if cuts else []
        else:  # documents are counted, and chunks of them have about CHUNK tokens
            total = int(bounds[-1] - bounds[0])
            at = np.searchsorted(bounds, np.arange(0, total + CHUNK, CHUNK), "left")
            cuts = sorted({0, *np.minimum(at, len(bounds) - 1).tolist(), len(bounds) - 1})
        for number, (start, stop) in enumerate(pairwise(cuts)):
            tokens = stop - start if bounds is None else int(bounds[stop] - bounds[start])
            yield Partition(
                f"{file.name}:{number}",
                file.fingerprint,
                int(tokens * size),
                ("run", file.path, file.fingerprint, start, stop),
            )

    def _documents(self, name: str, path: str, mark: str, start: int, stop: int) -> Iterator[Item | Unreadable]:
        stored = _opened(self.format, path, self.dtype, mark)
        if stored.starts is None and self.separator is None:
            for at in range(start, stop, self.piece):
                end = min(at + self.piece, stored.tokens)
                yield self._item(f"{name}#{at}", stored.read(at, end), {"span": [at, end]}, coarse=True)
        elif stored.starts is None:
            yield from self._separated(name, stored, start, stop)
        elif int(stored.starts[stop] - stored.starts[start]) <= 2 * LONGEST_DOCUMENT:
            bounds = stored.starts[start : stop + 1].tolist()
            ids = stored.read(bounds[0], bounds[-1])
            for number in range(start, stop):
                at, end = bounds[number - start] - bounds[0], bounds[number - start + 1] - bounds[0]
                yield self._item(f"{name}#{number}", ids[at:end], stored.of(number))
        else:  # one document of enormous length, and its neighbours
            for number in range(start, stop):
                at, end = int(stored.starts[number]), int(stored.starts[number + 1])
                for cut in range(at, end, LONGEST_DOCUMENT):
                    ids = stored.read(cut, min(cut + LONGEST_DOCUMENT, end))
                    long = end - at > LONGEST_DOCUMENT
                    where = f"{name}#{number}@{cut - at}" if long else f"{name}#{number}"
                    yield self._item(where, ids, stored.of(number), coarse=long)

    def _separated(self, name: str, stored: Stored, start: int, stop: int) -> Iterator[Item]:
        """The documents that begin in [start, stop): after the file's beginning, and after each separator."""
        ids = stored.read(max(start - 1, 0), stop)
        if start:
            found = np.flatnonzero(ids == self.separator)
            first = int(found[0]) + 1 if len(found) else len(ids)
            start, ids = start - 1 + first, ids[first:]
        ends = np.flatnonzero(ids == self.separator)
        last = 0
        for end in ends.tolist():
            if end > last:
                yield self._item(f"{name}#{start + last}", ids[last:end], {"span": [start + last, start + end]})
            last = end + 1
        if last < len(ids):  # it goes on in the next part of the file
            whole = self._rest(stored, ids[last:], stop)
            span = {"span": [start + last, start + last + len(whole)]}
            yield self._item(f"{name}#{start + last}", whole, span, coarse=len(whole) >= LONGEST_DOCUMENT)

    def _rest(self, stored: Stored, begun: np.ndarray, at: int) -> np.ndarray:
        """A document whose beginning is read, up to its separator, the file's end, or the longest there may be."""
        pieces, size, step = [begun], len(begun), 1 << 16
        while at < stored.tokens and size < LONGEST_DOCUMENT:
            more = stored.read(at, min(at + step, stored.tokens, at + LONGEST_DOCUMENT - size))
            found = np.flatnonzero(more == self.separator)
            pieces.append(more[: found[0]] if len(found) else more)
            size += len(pieces[-1])
            if len(found):
                break
            at, step = at + len(more), step * 2
        return np.concatenate(pieces)

    def _rows(self, name: str, path: str, group: int, first: int) -> Iterator[Item | Unreadable]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            file = pq.ParquetFile(raw(path))
            column = self.column or "input_ids"
            names = [one for one in (column, "attention_mask") if one in file.schema_arrow.names]
            yield from self._lists(name, [file.read_row_group(group, columns=names)], column, first)
        except pa.ArrowException as error:
            raise OSError(problem(error)) from error

    def _arrow(self, name: str, path: str) -> Iterator[Item | Unreadable]:
        import pyarrow as pa

        try:
            opened = raw(path)
            try:
                batches: Any = pa.ipc.open_stream(opened)
            except pa.ArrowInvalid:
                file = pa.ipc.open_file(raw(path))
                batches = (file.get_batch(number) for number in range(file.num_record_batches))
            yield from self._lists(
                name, (pa.Table.from_batches([batch]) for batch in batches), self.column or "input_ids", 0
            )
        except pa.ArrowException as error:
            raise OSError(problem(error)) from error

    def _lists(self, name: str, tables: Any, column: str, number: int) -> Iterator[Item | Unreadable]:
        import pyarrow.compute as pc

        for table in tables:
            if column not in table.column_names:
                raise Damaged(f"there is no column {column!r}")
            lengths = pc.list_value_length(table[column]).to_pylist()
            packed = len(lengths) > 1 and len(set(lengths)) == 1
            masks = table["attention_mask"] if "attention_mask" in table.column_names else None
            for row in range(table.num_rows):
                where = f"{name}#{number}"
                number += 1
                values = table[column][row].values
                if values is None or not len(values) or values.null_count:
                    yield Unreadable(where, "the row has no token ids, or gaps between them")
                    continue
                try:
                    ids = as_ids(values.to_numpy(zero_copy_only=False))
                    if masks is not None and masks[row].is_valid:
                        ids = ids[masks[row].values.to_numpy(zero_copy_only=False).astype(bool)]
                except (Damaged, IndexError) as error:
                    yield Unreadable(where, problem(error))
                    continue
                yield self._item(where, ids, {}, coarse=packed)

    def _mds(self, file: Found) -> Iterator[Partition]:
        with stream(file.path) as opened:
            index = json.loads(opened.read(LONGEST))
        folder, below = file.path.rpartition("/")[0], file.name.rpartition("/")[0]
        for shard in index["shards"]:
            about = shard.get("zip_data") or shard["raw_data"]
            base = about["basename"]
            if "/" in base or base.startswith("."):
                raise Damaged(f"the shard {base!r} lies outside of the folder")
            name = f"{below}/{base}" if below else base
            mark = f"{file.fingerprint}:{base}"
            names, kinds, sizes = (shard[f"column_{key}"] for key in ("names", "encodings", "sizes"))
            unpacked = int(shard["raw_data"]["bytes"])
            payload = ("shard", f"{folder}/{base}", shard.get("compression"), unpacked, names, kinds, sizes)
            yield Partition(name, mark, int(about["bytes"]), payload)

    def _shard(
        self,
        name: str,
        path: str,
        compression: str | None,
        size: int,
        names: list[str],
        kinds: list[str],
        sizes: list[int | None],
    ) -> Iterator[Item | Unreadable]:
        with raw(path) as file:
            if max(size, file.size()) > SHARD:
                raise Damaged(f"the shard is larger than {SHARD} bytes")
            data = _unpacked(file.read(), (compression or "").partition(":")[0], size)
        column = self.column or next((one for one in ("tokens", "input_ids") if one in names), "tokens")
        if column not in names:
            raise Damaged(f"there is no column {column!r} among {', '.join(names)}")
        encoding = dict(zip(names, kinds, strict=True))
        rows = list(mds_rows(data, names, sizes))
        packed = len(rows) > 1 and len({len(row[column]) for row in rows}) == 1
        for number, row in enumerate(rows):
            where = f"{name}#{number}"
            try:
                about = {key: value.decode() for key, value in row.items() if encoding[key] == "str"}
                yield self._item(where, mds_ids(row[column], encoding[column], self.dtype), about, coarse=packed)
            except (Damaged, UnicodeDecodeError) as error:
                yield Unreadable(where, problem(error))

    def _item(self, where: str, ids: np.ndarray, about: dict[str, Any], coarse: bool = False) -> Item:
        meta = {**about, "tokens": len(ids), "tokenizer": self.tokenizer}
        if coarse:
            meta["provenance"] = COARSE
        return Item(
            where, text="", media_type=TOKENS, media=ids.astype("<u4").tobytes(), language=self.language, meta=meta
        )


@lru_cache(maxsize=2)
def _opened(form: str, path: str, dtype: str | None, mark: str) -> Stored:
    """A file with its index, which all partitions of it share; ``mark`` changes when the file does."""
    if form == "megatron":
        return megatron(path)
    if form == "datatrove":
        return datatrove(path, dtype)
    return dolma(path, dtype) if form == "dolma" else plain(path, dtype)


def _tables(file: Found) -> Iterator[Partition]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if file.name.lower().endswith(".arrow"):
        yield Partition(file.name, file.fingerprint, file.bytes, ("arrow", file.path))
        return
    try:
        about = pq.read_metadata(raw(file.path))
    except pa.ArrowException as error:
        raise Damaged(problem(error)) from error
    first = 0
    for number in range(about.num_row_groups):
        group = about.row_group(number)
        yield Partition(
            f"{file.name}:{number}", file.fingerprint, group.total_byte_size, ("rows", file.path, number, first)
        )
        first += group.num_rows


def _unpacked(data: bytes, compression: str, size: int) -> bytes:
    """A shard's bytes, of which the index says how many there are."""
    if not compression:
        return data
    import bz2
    import gzip
    import io

    import zstandard

    try:
        if compression == "zstd":
            found = zstandard.ZstdDecompressor().stream_reader(data).read(size + 1)
        elif compression in ("gz", "bz2"):
            packed = io.BytesIO(data)
            opened: Any = gzip.GzipFile(fileobj=packed) if compression == "gz" else bz2.BZ2File(packed)
            found = opened.read(size + 1)
        else:
            raise Damaged(f"compression {compression!r} is not known here (zstd, gz, bz2)")
    except (OSError, EOFError, zstandard.ZstdError) as error:
        raise Damaged(f"the shard is damaged: {problem(error)}") from error
    if len(found) != size:
        raise Damaged(f"the shard has another length than the {size} bytes of its index")
    return found
