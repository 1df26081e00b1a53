"""Data selection by importance resampling over hashed n-grams (Xie et al. 2023, arXiv 2302.03169, section 4).

Two bags of features are counted, of the corpus and of the target; a document's weight is the product over its features
of how much more likely each is under the target. Documents are drawn without replacement with these weights by the
Gumbel top-k trick (Kool et al. 2019, arXiv 1903.06059): each log weight gets Gumbel noise, and the largest stay. Log
weights and noise are whole multiples of 2^-20, so that sums are the same in any order and on any machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seedstock.corpus.classify import examples
from seedstock.corpus.dedup.shingles import hash_words
from seedstock.corpus.selection.config import Dsir
from seedstock.corpus.selection.pool import Pool
from seedstock.corpus.words import mix, pieces, split

if TYPE_CHECKING:
    import pyarrow as pa

PIECE = 1 << 18  # bytes of text at once
UNIT = 1 << 20
_STEP = np.uint64(0xD1342543DE82EF95)
VERSION = 1  # of what a feature is, and of what is read of a target: part of a corpus's inputs


def order(step: Dsir, pool: Pool) -> np.ndarray:
    """Places of the pool's documents, int64, in the order in which they are drawn."""
    with pool.folder() as folder, pool.reporter.bar("importance by n-grams", pool.rows, "documents") as bar:
        weights = log_weights(step, pool, folder, bar)
    noise = np.rint(-np.log(-np.log(pool.uniform)) * UNIT).astype(np.int64)
    return np.lexsort((np.arange(pool.rows), -(weights + noise)))


def log_weights(step: Dsir, pool: Pool, folder: Path, bar: object = None) -> np.ndarray:
    """log of p(document | target) / p(document | corpus) in units of 2^-20, int64 [rows].

    Features wait in a file between the two passes: four bytes for each word and n-gram.
    """
    raw = np.zeros(step.buckets, np.int64)
    lengths = np.zeros(pool.rows, np.int64)
    spilled = folder / "features"
    with spilled.open("wb") as file:
        for places, column in pool.texts():
            first = 0
            for piece in pieces(column, PIECE):
                row, feature = features(piece, step.words, step.buckets)
                lengths[places[first : first + len(piece)]] = np.bincount(row, minlength=len(piece))
                raw += np.bincount(feature, minlength=step.buckets)
                file.write(feature.astype(np.uint32).tobytes())
                first += len(piece)
            if bar is not None:
                bar.advance(len(places))  # type: ignore[attr-defined]
    target = np.zeros(step.buckets, np.int64)
    for text in _batches(step):
        target += np.bincount(features(text, step.words, step.buckets)[1], minlength=step.buckets)
    table = ratios(raw, target)
    found = np.zeros(pool.rows, np.int64)
    ends = np.cumsum(lengths)
    with spilled.open("rb") as file:
        start = 0
        while start < pool.rows:
            done = ends[start - 1] if start else 0
            stop = max(start + 1, int(np.searchsorted(ends, done + (1 << 20), "right")))
            count = int(ends[stop - 1] - done)
            values = table[np.frombuffer(file.read(4 * count), np.uint32)]
            sums = np.concatenate([[0], np.cumsum(values)])
            found[start:stop] = np.diff(sums[np.concatenate([[0], ends[start:stop] - done])])
            start = stop
    return found


def ratios(raw: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The log ratio of each feature's probabilities, with one added to every count, in units of 2^-20, int64."""
    buckets = len(raw)
    own = np.log((target + 1) / (target.sum() + buckets))
    return np.rint((own - np.log((raw + 1) / (raw.sum() + buckets))) * UNIT).astype(np.int64)


def features(text: pa.Array, words: int, buckets: int) -> tuple[np.ndarray, np.ndarray]:
    """(text, feature) of every word and n-gram, by text: int64 each.

    Words are lower case, and signs are words of their own; an n-gram may run over line ends, not over texts.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    apart = pc.replace_substring_regex(pc.utf8_lower(text), r"([^\pL\pM\pN_\s]+)", r" \1 ")
    found = split(apart.cast(pa.large_string()))
    if not len(found.codes):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    single = hash_words(found.vocabulary)[found.codes]
    rows, hashes, last = [found.row], [single], single
    for size in range(2, words + 1):
        last = mix(last[:-1] * _STEP + single[size - 1 :])
        inside = found.row[: len(last)] == found.row[size - 1 :]
        rows.append(found.row[: len(last)][inside])
        hashes.append(last[inside])
    row, hash_ = np.concatenate(rows), np.concatenate(hashes)
    by_text = np.argsort(row, kind="stable")
    return row[by_text], (mix(hash_[by_text]) % np.uint64(buckets)).astype(np.int64)


def _batches(step: Dsir) -> Iterator[pa.Array]:
    import pyarrow as pa

    texts = pa.array(examples.read(step.target, name="target"), pa.large_string())
    yield from pieces(texts, PIECE)
