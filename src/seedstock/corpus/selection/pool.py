"""What a step chooses from: some rows of a corpus, with their sizes, names, scores, texts and keyed random numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seedstock.corpus.dedup.parts import Part, texts
from seedstock.corpus.dedup.spill import Workspace
from seedstock.corpus.words import mix
from seedstock.ledger.ids import keyed
from seedstock.progress import Reporter

if TYPE_CHECKING:
    import pyarrow as pa

Rows = np.ndarray


@dataclass(frozen=True)
class Pool:
    """Documents in the order of the corpus: ``parts`` as deduplication reads them, ``names`` source, domain and
    language (object [rows] each), ``bytes`` int64 [rows], ``key`` of the step's random numbers."""

    parts: Sequence[Part]
    names: dict[str, np.ndarray]
    bytes: np.ndarray
    key: str
    work: Path | None
    reporter: Reporter

    @property
    def rows(self) -> int:
        return len(self.bytes)

    @cached_property
    def draws(self) -> np.ndarray:
        """A random number a document, uint64: of the seed, the step and the document's content, and of no other."""
        key = np.uint64(int.from_bytes(keyed(b"seedstock", "select", self.key.encode())[:8], "big"))
        found = [np.zeros(0, np.uint64)]
        for part in self.parts:
            if part.rows:
                table = part.read(["text_sha256", "raw_sha256", "bytes"])
                plain, media = _numbers(table["text_sha256"]), table["bytes"].to_numpy() == 0
                if media.any():
                    plain[media] ^= _numbers(table["raw_sha256"])[media]
                found.append(mix(mix(plain ^ key) + key))
        return np.concatenate(found)

    @cached_property
    def uniform(self) -> np.ndarray:
        """The draws as numbers between 0 and 1, without either: float64 [rows]."""
        return ((self.draws >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53

    def score(self, column: str) -> np.ndarray:
        """A signal's column (``bytes``: the size), float64 [rows]; NaN where it has no value."""
        if column == "bytes":
            return self.bytes.astype(np.float64)
        found = [np.zeros(0)]
        for part in self.parts:
            if part.rows:
                values = part.read([column])[column]
                found.append(values.to_numpy().astype(np.float64))
        return np.concatenate(found)

    def groups(self, by: Sequence[str]) -> tuple[list[tuple[str, ...]], np.ndarray]:
        """The groups there are, sorted, and which each document is of: int64 [rows]."""
        codes = np.zeros(self.rows, np.int64)
        values = []
        for part in by:
            found, code = np.unique(self.names[part].astype(str), return_inverse=True)
            values.append(found)
            codes = codes * len(found) + code
        present, codes = np.unique(codes, return_inverse=True)
        names = []
        for code in present.tolist():
            name = []
            for found in reversed(values):
                code, at = divmod(code, len(found))
                name.append(str(found[at]))
            names.append(tuple(reversed(name)))
        return names, codes

    def texts(self) -> Iterator[tuple[np.ndarray, pa.Array]]:
        """For each part, the places of its documents in this pool, and their texts."""
        return texts(self.parts, np.arange(self.rows))

    def folder(self) -> AbstractContextManager[Path]:
        """A folder for what does not fit into memory."""
        return Workspace(self.work)


def _numbers(digests: pa.ChunkedArray) -> np.ndarray:
    """The first eight bytes of each digest, uint64."""
    return np.frombuffer(b"".join(digest[:8] for digest in digests.to_pylist()), "<u8").astype(np.uint64)


def by_rank(values: np.ndarray, draws: np.ndarray, descending: bool = False) -> np.ndarray:
    """Places from the lowest value (``descending``: the highest) on, int64; equal ones as drawn, NaN last."""
    return np.lexsort((np.arange(len(values)), draws, -values if descending else values))


def prefix(order: np.ndarray, sizes: np.ndarray, budget: int) -> np.ndarray:
    """As many of ``order`` from its front as fit into a budget."""
    return order[: int(np.searchsorted(np.cumsum(sizes[order]), budget, "right"))]
