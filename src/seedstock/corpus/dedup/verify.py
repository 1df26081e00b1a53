"""The exact similarity of pairs of documents, with their sets of shingles on disk."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from seedstock.corpus.dedup.parts import Part, firsts, texts
from seedstock.corpus.dedup.shingles import shingles
from seedstock.corpus.words import pieces

CHUNK = 1 << 21  # shingles of the pairs that are compared at once


class Sets:
    """Sets of shingles by row, kept as sorted 32-bit hashes: made when first asked for, read again a few at a time.

    Two different shingles of a pair have the same hash once in 4 billion: for texts of a thousand words, the similarity
    is off by less than one in a million.
    """

    def __init__(self, parts: Sequence[Part], size: int, folder: Path, workers: int = 1) -> None:
        self.parts, self.size, self.folder, self.workers = parts, size, folder, max(1, workers)
        self.firsts = firsts(parts)
        self._start = np.full(int(self.firsts[-1]), -1, np.int64)
        self._length = np.zeros(int(self.firsts[-1]), np.int32)
        self._path = folder / "shingles"
        self._end = 0

    def need(self, rows: np.ndarray, advance: Callable[[int], None] = lambda rows: None) -> None:
        """Makes the sets of those rows that have none yet; a part's text is read at a time, by each worker."""
        missing = np.unique(rows[self._start[rows] < 0])
        bounds = np.searchsorted(missing, self.firsts)
        jobs = [
            (number, missing[begin:end])
            for number, (begin, end) in enumerate(itertools.pairwise(bounds))
            if end > begin
        ]
        with ThreadPoolExecutor(self.workers) as pool, self._path.open("ab") as file:
            # No more parts at a time than workers: their texts are in memory.
            for at in range(0, len(jobs), self.workers):
                for own, (hashes, lengths) in zip(
                    jobs[at : at + self.workers], pool.map(self._make, jobs[at : at + self.workers]), strict=True
                ):
                    self._start[own[1]] = self._end + np.cumsum(lengths) - lengths
                    self._length[own[1]] = lengths
                    file.write(hashes.tobytes())
                    self._end += len(hashes)
                    advance(len(own[1]))

    def _make(self, job: tuple[int, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        number, rows = job
        found, lengths = [], []
        for _, column in texts([self.parts[number]], rows - self.firsts[number]):
            for piece in pieces(column):
                hashes, row = shingles(piece, self.size)
                keys = (row.astype(np.uint64) << np.uint64(32)) | (hashes >> np.uint64(32))
                keys.sort()
                keys = keys[np.diff(keys, prepend=keys[:1] ^ np.uint64(1)) != 0]
                found.append(keys.astype(np.uint32))
                lengths.append(np.bincount((keys >> np.uint64(32)).astype(np.int64), minlength=len(piece)))
        return np.concatenate(found), np.concatenate(lengths)

    def similarity(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """The Jaccard similarity of each pair of rows, float64; rows without any shingle resemble none."""
        found = np.zeros(len(left))
        ends = np.cumsum(self._length[left].astype(np.int64) + self._length[right])
        at = 0
        with self._path.open("rb") as file:
            while at < len(left):
                done = ends[at - 1] if at else 0
                stop = max(at + 1, int(np.searchsorted(ends, done + CHUNK, side="right")))
                found[at:stop] = self._some(file.fileno(), left[at:stop], right[at:stop])
                at = stop
        return found

    def _some(self, file: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        tags = np.arange(len(left), dtype=np.uint64) << np.uint64(32)
        keys = np.concatenate([self._tagged(file, left, tags), self._tagged(file, right, tags)])
        keys.sort(kind="stable")  # two sorted runs: merged, not sorted
        both = keys[1:][keys[1:] == keys[:-1]]
        shared = np.bincount((both >> np.uint64(32)).astype(np.int64), minlength=len(left))
        either = self._length[left].astype(np.int64) + self._length[right] - shared
        return np.divide(shared, either, out=np.zeros(len(left)), where=either > 0)

    def _tagged(self, file: int, rows: np.ndarray, tags: np.ndarray) -> np.ndarray:
        lengths = self._length[rows]
        read: dict[int, bytes] = {}
        for row in np.unique(rows).tolist():
            read[row] = os.pread(file, int(self._length[row]) * 4, int(self._start[row]) * 4)
        hashes = np.frombuffer(b"".join([read[row] for row in rows.tolist()]), np.uint32)
        return hashes.astype(np.uint64) | np.repeat(tags, lengths)
