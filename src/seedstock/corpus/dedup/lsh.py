"""Locality-sensitive hashing: which documents share a band of their signatures, found a partition at a time.

Sources: Indyk and Motwani 1998 (banding); Li and König 2010 (b-bit minwise hashing: signatures keep 16 bits a minimum).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from seedstock.corpus.dedup.spill import Spill, by_hash, parts_for
from seedstock.corpus.words import mix

PARTITION = 1 << 21  # (key, document) records that are sorted at once: 24 MB, and as much again for the order
RECORD = np.dtype([("key", "<u8"), ("document", "<u4")])
CHUNK = 1 << 15  # pairs of signatures compared at once
BATCH = 1 << 16  # documents whose keys are made at once


class Signatures:
    """Signatures in a file, uint16 [documents, permutations]; documents are numbered in the order of ``add``."""

    def __init__(self, path: Path, permutations: int) -> None:
        self.path, self.permutations, self.count = path, permutations, 0
        self._file = path.open("wb")

    def add(self, minima: np.ndarray) -> None:
        """Appends signatures, of which the lower 16 bits are kept."""
        self._file.write(np.ascontiguousarray(minima, np.uint16).tobytes())
        self.count += len(minima)

    def close(self) -> None:
        """Ends the writing."""
        self._file.close()

    def estimate(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """The share of equal minima of each pair of documents, float32 [pairs]: an estimate of their similarity."""
        found = np.empty(len(left), np.float32)
        if not len(left):
            return found
        with self.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            table = np.frombuffer(mapped, np.uint16).reshape(-1, self.permutations)
            for at in range(0, len(left), CHUNK):
                equal = table[left[at : at + CHUNK]] == table[right[at : at + CHUNK]]
                found[at : at + CHUNK] = np.count_nonzero(equal, axis=1) / np.float32(self.permutations)
                if hasattr(mapped, "madvise"):  # what was looked at does not stay in this process's memory
                    mapped.madvise(mmap.MADV_DONTNEED)
            del table
        return found


def band_keys(minima: np.ndarray, band: int, rows: int) -> np.ndarray:
    """One key a document for one band, uint64 [n]; equal where all rows of the band are. ``minima`` are uint16."""
    keys = np.full(len(minima), band, np.uint64)
    for first in range(band * rows, (band + 1) * rows, 4):
        word = np.zeros(len(minima), np.uint64)
        for place, column in enumerate(range(first, min(first + 4, (band + 1) * rows))):
            word |= minima[:, column].astype(np.uint64) << np.uint64(16 * place)
        keys = mix(keys ^ word)
    return keys


class Bands:
    """The buckets of every band: documents whose keys are equal, kept in one file a band."""

    def __init__(self, folder: Path, bands: int, rows: int, expected: int) -> None:
        self.folder, self.bands, self.rows = folder, bands, rows
        self.partitions = parts_for(expected, PARTITION)
        self._spill = Spill(folder, "band", bands * self.partitions, RECORD)
        self._count = 0

    def add(self, minima: np.ndarray) -> None:
        """Spills the keys of the next documents; uint16 [n, permutations]."""
        for at in range(0, len(minima), BATCH):
            batch = minima[at : at + BATCH]
            records = np.empty(len(batch), RECORD)
            records["document"] = np.arange(self._count, self._count + len(batch))
            for band in range(self.bands):
                records["key"] = keys = band_keys(batch, band, self.rows)
                self._spill.add(records, band * self.partitions + by_hash(keys, self.partitions))
            self._count += len(batch)

    def group(self) -> Iterator[int]:
        """Sorts one partition after another, keeps the buckets of two and more; yields each band's number when done."""
        for band in range(self.bands):
            members, begins = [], []
            for part in range(self.partitions):
                documents, begin = buckets(self._spill.take(band * self.partitions + part))
                members.append(documents)
                begins.append(begin)
            self.store(band, np.concatenate(members), np.concatenate(begins))
            yield band

    def load(self, band: int) -> tuple[np.ndarray, np.ndarray]:
        """(documents, uint32, bucket after bucket, the lowest number of each first; bool, where a bucket begins)."""
        return np.load(self.folder / f"members-{band}.npy"), np.load(self.folder / f"begins-{band}.npy")

    def store(self, band: int, members: np.ndarray, begins: np.ndarray) -> None:
        """Replaces a band's buckets."""
        np.save(self.folder / f"members-{band}.npy", members)
        np.save(self.folder / f"begins-{band}.npy", begins)


def buckets(records: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The documents of equal keys, as in ``Bands.load``; a document that shares its key with no other is left out."""
    keys = np.ascontiguousarray(records["key"])
    order = np.argsort(keys)  # four times as fast as a stable sort; the few that share a bucket are put in order below
    keys = keys[order]
    same = keys[1:] == keys[:-1]
    inside = np.zeros(len(keys), bool)
    inside[1:] = same
    inside[:-1] |= same
    begins = np.ones(len(keys), bool)
    begins[1:] = ~same
    begins, members = begins[inside], records["document"][order[inside]]
    return members[np.lexsort((members, np.cumsum(begins)))], begins


def leaders(members: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """The first of each member's bucket."""
    return members[np.flatnonzero(begins)[np.cumsum(begins) - 1]]


def without(members: np.ndarray, begins: np.ndarray, gone: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Buckets without the members that are ``gone`` (bool), and without buckets of which one is left."""
    bucket = np.cumsum(begins)[~gone]
    sizes = np.bincount(bucket, minlength=1)
    several = sizes[bucket] > 1
    bucket = bucket[several]
    return members[~gone][several], np.diff(bucket, prepend=-1) != 0


def spread(batches: Iterable[np.ndarray], signatures: Signatures, bands: Bands) -> None:
    """Stores signatures (uint16 [n, permutations] a batch) and their keys."""
    for minima in batches:
        signatures.add(minima)
        bands.add(minima)
    signatures.close()
