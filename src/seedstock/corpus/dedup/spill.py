"""Records spread over files by partition, so that a sort holds one partition in memory."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np

from seedstock.ledger.files import plain_errors

BUFFER = 1 << 16  # bytes a partition before they are written: files are opened for each write, and may be many


class Spill:
    """Numpy records in ``partitions`` temporary files; within a partition they stay in the order of ``add``."""

    def __init__(self, folder: Path, name: str, partitions: int, dtype: np.dtype) -> None:
        self.folder, self.name, self.partitions, self.dtype = folder, name, partitions, dtype
        self._waiting: list[list[bytes]] = [[] for _ in range(partitions)]
        self._sizes = [0] * partitions
        self.records = 0

    def add(self, records: np.ndarray, partition: np.ndarray | int) -> None:
        """Appends records to one partition, or each to its own (int array)."""
        self.records += len(records)
        if isinstance(partition, int | np.integer):
            self._append(int(partition), records)
            return
        order = np.argsort(partition, kind="stable")
        records = records[order]
        bounds = np.searchsorted(partition[order], np.arange(self.partitions + 1))
        for number in np.flatnonzero(np.diff(bounds)):
            self._append(int(number), records[bounds[number] : bounds[number + 1]])

    def _append(self, number: int, records: np.ndarray) -> None:
        self._waiting[number].append(records.astype(self.dtype, copy=False).tobytes())
        self._sizes[number] += len(records) * self.dtype.itemsize
        if self._sizes[number] >= BUFFER:
            self._flush(number)

    def _flush(self, number: int) -> None:
        if self._waiting[number]:
            with plain_errors(self._path(number)), self._path(number).open("ab") as file:
                file.writelines(self._waiting[number])
            self._waiting[number], self._sizes[number] = [], 0

    def take(self, number: int) -> np.ndarray:
        """The records of one partition; its file is removed."""
        self._flush(number)
        path = self._path(number)
        if not path.exists():
            return np.zeros(0, self.dtype)
        records = np.fromfile(path, self.dtype)
        path.unlink()
        return records

    def all(self) -> Iterator[np.ndarray]:
        """Every partition that holds anything, one at a time."""
        for number in range(self.partitions):
            records = self.take(number)
            if len(records):
                yield records

    def _path(self, number: int) -> Path:
        return self.folder / f"{self.name}-{number:05d}"


class Workspace:
    """A temporary folder beside ``near`` (or where temporary files go), removed at the end."""

    def __init__(self, near: Path | None = None) -> None:
        self.near = near

    def __enter__(self) -> Path:
        if self.near is not None:
            self.near.mkdir(parents=True, exist_ok=True)
        self.path = Path(tempfile.mkdtemp(prefix="dedup-", dir=self.near))
        return self.path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def parts_for(records: int, size: int) -> int:
    """How many partitions (a power of two) keep each at about ``size`` of ``records``."""
    return 1 << max(0, (max(records, 1) - 1) // size).bit_length()


def by_hash(hashes: np.ndarray, partitions: int) -> np.ndarray:
    """The partition of each uint64 hash, by its highest bits; ``partitions`` is a power of two."""
    bits = partitions.bit_length() - 1
    return (hashes >> np.uint64(64 - bits)).astype(np.int64) if bits else np.zeros(len(hashes), np.int64)
