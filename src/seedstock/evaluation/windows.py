"""Held-out documents cut into windows that fit the context, so that every token of text is predicted once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from seedstock.errors import DataError
from seedstock.evaluation.texts import GROUPS


@dataclass(frozen=True)
class Documents:
    """The documents of a split: ``ids`` and ``labels`` of each, ``strata``, and where its tokens lie.

    ``strata`` ``[D]`` are stratum numbers; ``starts`` ``[D]`` positions of the first token (BOS) in the stratum;
    ``sizes`` ``[D]`` tokens without BOS and EOS.
    """

    ids: list[bytes]
    labels: dict[str, list[str]]
    strata: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray


@dataclass(frozen=True)
class Window:
    """A batch of windows: ``tokens`` ``[B, L + 1]``; ``scored`` ``[B, L]`` says which predictions of the next count.

    ``lengths`` ``[B]`` are inputs before the padding, ``documents`` ``[B]`` the row in ``Documents``.
    """

    tokens: np.ndarray
    scored: np.ndarray
    lengths: np.ndarray
    documents: np.ndarray


def documents(shards: Any, split: str = "held_out", limit: int | None = None) -> Documents:
    """Every document of a split, or about ``limit`` bytes of them: those with the lowest ids, at least one.

    Ids are keyed digests, so this is an unbiased sample that stays when the corpus grows. What was erased is left out,
    as it is in the corpus. Raises DataError where the split is empty.
    """
    ids: list[bytes] = []
    labels: dict[str, list[str]] = {group: [] for group in GROUPS}
    strata, starts, sizes, weights = [], [], [], []
    for stratum in shards.strata(split):
        names, begins = shards.documents(split, stratum.stratum)
        there = shards.read(split, stratum.stratum, begins[:-1], 1)[:, 0] != shards.specials["pad"]  # else erased
        names, begins, tokens = names[there], begins[:-1][there], np.diff(begins)[there]
        ids += [name.tobytes() for name in names]
        for group in GROUPS:
            labels[group] += [getattr(stratum, group)] * len(names)
        strata.append(np.full(len(names), stratum.stratum))
        starts.append(begins)
        sizes.append(tokens - 2)
        weights.append(tokens * (stratum.bytes / max(1, stratum.tokens)))
    found = Documents(
        ids, labels, *(np.concatenate([*part, np.zeros(0, int)]).astype(np.int64) for part in (strata, starts, sizes))
    )
    if not (found.sizes > 0).any():
        raise DataError(
            "the held-out split has no tokens", where=f"split {split}", fix="raise corpus.held_out, or add documents"
        )
    return found if limit is None else _lowest(found, np.concatenate(weights), limit)


def sample(shards: Any, limit: int | None, split: str = "held_out") -> frozenset[bytes] | None:
    """The ids of the documents that ``documents`` takes for ``limit``, for ``floors``; None where it takes all."""
    return None if limit is None else frozenset(documents(shards, split, limit).ids)


def _lowest(found: Documents, weights: np.ndarray, limit: int) -> Documents:
    order = np.array(sorted(range(len(found.ids)), key=found.ids.__getitem__))
    within = np.cumsum(weights[order]) <= limit
    within[0] = True
    kept = np.sort(order[within])
    labels = {group: [names[row] for row in kept] for group, names in found.labels.items()}
    return Documents(
        [found.ids[row] for row in kept], labels, found.strata[kept], found.starts[kept], found.sizes[kept]
    )


def windows(
    shards: Any, split: str, found: Documents, context: int, stride: int, batch_tokens: int, pad: int
) -> Iterator[Window]:
    """Batches of windows of at most ``context`` inputs, longest first, of alike length, ``batch_tokens`` or one row.

    The first window of a document starts at its BOS, the next ones ``stride`` tokens further on each, and a token
    counts in the first window that predicts it: with ``stride`` = ``context`` windows do not overlap.
    """
    row, start, length, fresh = _cut(found.sizes, context, stride)
    order = np.argsort(-length, kind="stable")
    first = 0
    while first < len(order):
        longest = int(length[order[first]])
        chosen = order[first : first + max(1, batch_tokens // longest)]
        first += len(chosen)
        rows, lengths = row[chosen], length[chosen]
        tokens = np.empty((len(chosen), longest + 1), np.int64)
        for stratum in np.unique(found.strata[rows]):
            here = found.strata[rows] == stratum
            begin = found.starts[rows[here]] + start[chosen[here]]
            tokens[here] = shards.read(split, int(stratum), begin, longest + 1)
        place = np.arange(longest)
        # Padding that is stored was put over something erased, by a forget that may still be under way.
        scored = (place < lengths[:, None]) & (place >= fresh[chosen][:, None]) & (tokens[:, 1:] != pad)
        tokens[:, 1:][place >= lengths[:, None]] = pad  # behind everything that counts, so out of its sight
        yield Window(tokens, scored, lengths, rows)


def _cut(sizes: np.ndarray, context: int, stride: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Windows of all documents: their document's row, first input, inputs, and first prediction that counts."""
    count = np.where(sizes > 0, 1 + -(-np.maximum(sizes - context, 0) // stride), 0)
    row = np.repeat(np.arange(len(sizes)), count)
    number = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    start = number * stride
    length = np.minimum(context, sizes[row] - start)
    return row, start, length, np.where(number > 0, context - stride, 0)
