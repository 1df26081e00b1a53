"""Reads fastText's supervised models (``.bin``, and ``.ftz``, which is quantised): format 12 of the file.

Bag of tricks: Joulin et al. 2016 (arXiv:1607.01759); product quantisation: Joulin et al. 2016 (arXiv:1612.03651).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from seedstock.errors import DataError

MAGIC, VERSION = 793712314, 12
SOFTMAX, ONE_VS_ALL, HIERARCHICAL, NEGATIVE = 3, 4, 1, 2
SUPERVISED = 3
CENTROIDS = 256
LARGEST = 1 << 34  # entries of a matrix


@dataclass(frozen=True)
class File:
    """``input`` float32 [words + buckets, dim], ``output`` float32 [labels, dim]; ``pruned`` maps buckets.

    ``words`` bytes, ``labels`` str, ``counts`` int64 [labels]; ``ngrams`` of words, subwords of ``shortest`` to
    ``longest`` characters (0: none).
    """

    input: np.ndarray
    output: np.ndarray
    words: list[bytes]
    labels: list[str]
    counts: np.ndarray
    loss: int
    ngrams: int
    buckets: int
    shortest: int
    longest: int
    pruned: np.ndarray | None


def read(path: Path) -> File:
    """Raises DataError where the file is damaged, or no supervised model of this format."""
    try:
        with path.open("rb") as file:
            return _File(file, path).read()
    except (struct.error, ValueError, MemoryError, OverflowError) as error:
        raise DataError(f"damaged: {error}", where=path, fix="fetch or train the model again") from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=path, fix="mend the path") from error


def labels(path: Path) -> list[str]:
    """The labels alone. Raises DataError."""
    with path.open("rb") as file:
        reader = _File(file, path)
        try:
            reader.header()
            return [name.decode(errors="replace") for name, _, kind in reader.entries if kind == 1]
        except (struct.error, ValueError) as error:
            raise DataError(f"damaged: {error}", where=path, fix="fetch or train the model again") from error


class _File:
    def __init__(self, file: IO[bytes], path: Path) -> None:
        self.file, self.path = file, path

    def header(self) -> None:
        magic, version = self.take("ii")
        if magic != MAGIC or version != VERSION:
            raise DataError(
                f"not a fastText model of format {VERSION}", where=self.path, fix="train it with fastText 0.2 or later"
            )
        _, _, _, _, _, ngrams, loss, kind, buckets, shortest, longest, _ = self.take("12i")
        self.take("d")
        if kind != SUPERVISED or loss not in (SOFTMAX, ONE_VS_ALL, HIERARCHICAL, NEGATIVE):
            raise DataError(
                "word vectors, not a classifier", where=self.path, fix="name a model of `fasttext supervised`"
            )
        self.arguments = {"ngrams": ngrams, "loss": loss, "buckets": buckets}
        self.arguments |= {"shortest": shortest, "longest": longest}
        size, _, _, _, self.left = self.take("iiiqq")
        self.entries = [self.entry() for _ in range(size)]

    def read(self) -> File:
        self.header()
        pruned = None
        if self.left >= 0:
            pairs = self.array(np.int32, 2 * self.left).reshape(-1, 2)
            pruned = np.full(max(1, self.arguments["buckets"]), -1, np.int64)
            pruned[pairs[:, 0]] = pairs[:, 1]
        input_ = self.matrix(bool(self.take("B")[0]))
        output = self.matrix(bool(self.take("B")[0]))
        words = [name for name, _, kind in self.entries if kind == 0]
        if (
            len(input_) < len(words)
            or len(output) != len(self.entries) - len(words)
            or input_.shape[1] != output.shape[1]
        ):
            raise ValueError("the matrices do not belong to the dictionary")
        return File(
            input=input_,
            output=output,
            words=words,
            labels=[name.decode(errors="replace") for name, _, kind in self.entries if kind == 1],
            counts=np.array([count for _, count, kind in self.entries if kind == 1], np.int64),
            pruned=pruned,
            **self.arguments,
        )

    def take(self, layout: str) -> tuple:
        layout = f"={layout}"
        return struct.unpack(layout, self.file.read(struct.calcsize(layout)))

    def entry(self) -> tuple[bytes, int, int]:
        name = bytearray()
        while (byte := self.file.read(1)) != b"\0":
            if not byte or len(name) > 1 << 20:
                raise ValueError("a word does not end")
            name += byte
        count, kind = self.take("qb")
        return bytes(name), count, kind

    def array(self, kind: type, count: int) -> np.ndarray:
        if not 0 <= count <= LARGEST:
            raise ValueError(f"{count} numbers are announced")
        found: np.ndarray = np.fromfile(self.file, kind, count)
        if len(found) != count:
            raise ValueError("the file breaks off")
        return found

    def matrix(self, quantised: bool) -> np.ndarray:
        if quantised:
            return self.quantised()
        rows, columns = self.take("qq")
        return self.array(np.float32, rows * columns).reshape(rows, columns)

    def quantised(self) -> np.ndarray:
        """The rows that product quantisation stands for."""
        (with_norms,) = self.take("B")
        rows, columns, size = self.take("qqi")
        codes = self.array(np.uint8, size).reshape(rows, -1)
        found = self.decode(codes, columns)
        if with_norms:
            norms = self.decode(self.array(np.uint8, rows).reshape(rows, 1), 1)
            found *= norms
        return found

    def decode(self, codes: np.ndarray, columns: int) -> np.ndarray:
        dim, parts, width, last = self.take("4i")
        centroids = self.array(np.float32, dim * CENTROIDS)
        if dim != columns or parts != codes.shape[1] or (parts - 1) * width + last != dim:
            raise ValueError("the quantiser does not belong to the matrix")
        pieces: list[np.ndarray] = []
        for part in range(parts):
            wide = last if part == parts - 1 else width
            table = centroids[part * CENTROIDS * width :][: CENTROIDS * wide].reshape(CENTROIDS, wide)
            pieces.append(table[codes[:, part]])
        return np.concatenate(pieces, axis=1)
