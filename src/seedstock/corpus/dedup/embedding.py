"""Embeddings of texts, as whole numbers: the built-in one needs no model, another is any callable.

Vectors are int8. Their products are whole numbers below 2^24, which float32 holds exactly in any order of summation: so
what is found is the same on every machine and for any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seedstock.corpus.asked_runs import RUN, AsksRun
from seedstock.corpus.dedup.config import Semantic
from seedstock.corpus.dedup.parts import Part, texts
from seedstock.corpus.dedup.shingles import hash_words
from seedstock.corpus.words import mix, pieces, split
from seedstock.errors import DataError, RecipeError

if TYPE_CHECKING:
    import pyarrow as pa

BUCKETS = 1 << 20  # of words, whose document frequencies are counted together
GATHER = 1 << 11  # words of texts whose signs are worked on at once: they stay in the cache, and sums within 32 bits
BATCH = 256  # texts handed to a callable at once
PIECE = 1 << 17  # bytes of text at once
GROUP = "seedstock.embeddings"
Embed = Callable[[list[str]], Any]


class Vectors:
    """int8 [documents, dimensions] in a file, with the squared length of each."""

    def __init__(self, path: Path) -> None:
        self.path, self.count, self.dimensions = path, 0, 0
        self._squares: list[np.ndarray] = []

    def add(self, vectors: np.ndarray) -> None:
        """Appends int8 vectors."""
        with self.path.open("ab") as file:
            file.write(np.ascontiguousarray(vectors, np.int8).tobytes())
        self.count, self.dimensions = self.count + len(vectors), vectors.shape[1]
        self._squares.append(np.square(vectors.astype(np.int64)).sum(axis=1))

    @property
    def squares(self) -> np.ndarray:
        return np.concatenate([np.zeros(0, np.int64), *self._squares])

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Some vectors, as float32."""
        table = np.memmap(self.path, np.int8, "r", shape=(self.count, self.dimensions))
        return table[rows].astype(np.float32)


def embed(step: Semantic, parts: Sequence[Part], rows: np.ndarray, folder: Path) -> Vectors:
    """The vectors of ``rows``, in their order. Raises RecipeError where the model does not resolve."""
    vectors = Vectors(folder / "vectors")
    found = _hashed(step, parts, rows) if step.model is None else _called(step, step.model, parts, rows)
    for some in found:
        vectors.add(some)
    return vectors


def quantised(values: np.ndarray) -> np.ndarray:
    """Vectors scaled to whole numbers from -127 to 127, int8; rows that hold no number become 0."""
    values = np.nan_to_num(np.asarray(values, np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    largest = np.abs(values).max(axis=1, initial=0, keepdims=True)
    return np.rint(np.divide(values * 127, largest, out=np.zeros_like(values), where=largest > 0)).astype(np.int8)


def _hashed(step: Semantic, parts: Sequence[Part], rows: np.ndarray) -> Iterator[np.ndarray]:
    """Random projection (Achlioptas 2003) of hashed counts, weighted by TF-IDF: a vector of signs a word."""
    frequency = np.zeros(BUCKETS, np.int32)
    for _, column in texts(parts, rows):
        for piece in pieces(column, PIECE):
            _, words, _ = _counts(piece)
            frequency += np.bincount(_bucket(words), minlength=BUCKETS).astype(np.int32)
    weights = np.rint(16 * np.log2((1 + len(rows)) / (1 + frequency.astype(np.float64)))).clip(min=0).astype(np.int64)
    for _, column in texts(parts, rows):
        for piece in pieces(column, PIECE):
            row, words, times = _counts(piece)
            value = weights[_bucket(words)] * np.rint(16 * (1 + np.log2(times))).astype(np.int64)
            yield quantised(_projected(row, words, value, len(piece), step.dimensions))


def _counts(text: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(text, hash, times) of every word of every text, by text."""
    import pyarrow.compute as pc

    found = split(pc.utf8_lower(text))
    if not len(found.codes):
        return np.zeros(0, np.int64), np.zeros(0, np.uint64), np.zeros(0, np.int64)
    key, times = np.unique(found.row * len(found.vocabulary) + found.codes, return_counts=True)
    row, code = np.divmod(key, len(found.vocabulary))
    return row, hash_words(found.vocabulary)[code], times


def _bucket(words: np.ndarray) -> np.ndarray:
    return (words >> np.uint64(64 - (BUCKETS.bit_length() - 1))).astype(np.int64)


def _projected(row: np.ndarray, words: np.ndarray, value: np.ndarray, count: int, dimensions: int) -> np.ndarray:
    found, value = np.zeros((count, dimensions), np.int64), value.astype(np.int32)
    for at in range(0, len(row), GATHER):
        own = slice(at, at + GATHER)
        seeds = [mix(words[own] + np.uint64(number)) for number in range(-(-dimensions // 64))]
        bits = np.unpackbits(np.stack(seeds, axis=1).view(np.uint8), axis=1)[:, :dimensions]
        signed = bits.astype(np.int32)
        signed += signed
        signed -= 1
        signed *= value[own, None]
        begins = np.flatnonzero(np.diff(row[own], prepend=-1))
        found[row[own][begins]] += np.add.reduceat(signed, begins, axis=0)
    return found


def _called(step: AsksRun, model: str, parts: Sequence[Part], rows: np.ndarray) -> Iterator[np.ndarray]:
    function, dimensions = step.asked() if model.startswith(RUN) else resolve(model), 0
    for _, column in texts(parts, rows):
        for at in range(0, len(column), BATCH):
            batch = column.slice(at, BATCH).to_pylist()
            found = np.asarray(function(batch))
            if found.ndim != 2 or len(found) != len(batch) or dimensions not in (0, found.shape[1]):
                raise DataError(
                    f"the model gave an array of shape {found.shape} for {len(batch)} texts",
                    where=f"corpus.dedup: model {model}",
                    fix="return [texts, dimensions], always of the same dimensions",
                )
            dimensions = found.shape[1]
            if dimensions > 1024:
                raise DataError(
                    f"vectors of {dimensions} dimensions",
                    where=f"corpus.dedup: model {model}",
                    fix="return 1,024 at most",
                )
            yield quantised(found)


def resolve(model: str) -> Embed:
    """The callable behind ``module:function``, or behind a name of the entry-point group ``seedstock.embeddings``."""
    module, colon, attribute = model.partition(":")
    try:
        if colon:
            return getattr(import_module(module), attribute)
        for point in metadata.entry_points(group=GROUP):
            if point.name == model:
                return point.load()
    except (ImportError, AttributeError) as error:
        raise RecipeError(f"the model does not import: {error}", where=f"corpus.dedup: model {model}") from error
    known = ", ".join(sorted(point.name for point in metadata.entry_points(group=GROUP))) or "none"
    raise RecipeError(
        "unknown embedding model",
        where=f"corpus.dedup: model {model}",
        fix=f"write module:function; installed: {known}",
    )
