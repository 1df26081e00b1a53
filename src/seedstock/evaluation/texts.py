"""The corpus as the floors read it: the bytes of kept documents with their edits applied."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

GROUPS = ("source", "domain", "language")


@dataclass(frozen=True)
class Texts:
    """Documents in a row: ``data`` uint8 ``[N]``, ``lengths`` ``[D]`` bytes of each, ``ids``, and labels by group."""

    ids: list[bytes]
    data: np.ndarray
    lengths: np.ndarray
    labels: dict[str, list[str]]

    def chosen(self, keep: np.ndarray) -> Texts:
        """Only the documents where ``keep`` ``[D]`` is true."""
        if keep.all():
            return self
        labels = {
            group: [name for name, kept in zip(names, keep, strict=True) if kept]
            for group, names in self.labels.items()
        }
        ids = [name for name, kept in zip(self.ids, keep, strict=True) if kept]
        return Texts(ids, self.data[np.repeat(keep, self.lengths)], self.lengths[keep], labels)


def read(corpus: Any, split: str, only: frozenset[bytes] | None = None) -> Iterator[Texts]:
    """The documents of a split, batch by batch; ``only`` those with these ids where given."""
    for batch in corpus.texts(split):
        data, lengths = _bytes(batch.column("text"))
        ids = batch.column("id").to_pylist()
        labels = {group: [name or "" for name in batch.column(group).to_pylist()] for group in GROUPS}
        texts = Texts(ids, data, lengths, labels)
        yield texts if only is None else texts.chosen(np.fromiter((name in only for name in ids), bool, len(ids)))


def below(ids: list[bytes], fraction: float) -> np.ndarray:
    """Which ids fall into the lowest ``fraction`` of their range: an unbiased sample, as ids are keyed digests."""
    heads = np.frombuffer(b"".join(name[:8] for name in ids), ">u8")
    return heads < fraction * 2.0**64


def per_document(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Sums of ``[…, N]`` values over documents, also over empty ones: ``[…, D]``."""
    sums = np.zeros((*values.shape[:-1], len(lengths)))
    filled = lengths > 0
    if filled.any():
        sums[..., filled] = np.add.reduceat(values, (np.cumsum(lengths) - lengths)[filled], axis=-1)
    return sums


def together(parts: list[Texts]) -> Texts:
    """Batches as one."""
    data = np.concatenate([part.data for part in parts]) if parts else np.zeros(0, np.uint8)
    lengths = np.concatenate([part.lengths for part in parts]) if parts else np.zeros(0, np.int64)
    labels = {group: [name for part in parts for name in part.labels[group]] for group in GROUPS}
    return Texts([name for part in parts for name in part.ids], data, lengths, labels)


def _bytes(column: Any) -> tuple[np.ndarray, np.ndarray]:
    """UTF-8 bytes and lengths of an Arrow string array, without making Python strings."""
    import pyarrow as pa

    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    width = np.int64 if pa.types.is_large_string(column.type) else np.int32
    _, offsets, data = column.buffers()
    if not len(column) or data is None:
        return np.zeros(0, np.uint8), np.zeros(len(column), np.int64)
    ends = np.frombuffer(offsets, width)[column.offset : column.offset + len(column) + 1].astype(np.int64)
    return np.frombuffer(data, np.uint8)[ends[0] : ends[-1]], np.diff(ends)
