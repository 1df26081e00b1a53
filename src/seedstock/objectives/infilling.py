"""Text with parts of it hidden, in numpy: spans behind one mask each, and sentences out of order (Lewis et al. 2019).

Rows may have fewer tokens than their array; every draw is handed in.
"""

from __future__ import annotations

import math

import numpy as np


def poisson(draws: np.ndarray, mean: float) -> np.ndarray:
    """Poisson numbers from uniform ones, by the inverse of the cumulative distribution."""
    terms = [math.exp(-mean)]
    while terms[-1] > 1e-18 or len(terms) < mean:
        terms.append(terms[-1] * mean / len(terms))
    return np.searchsorted(np.cumsum(terms), draws, "right").clip(max=len(terms) - 1)


def behind_masks(
    tokens: np.ndarray, lengths: np.ndarray, rate: float, sizes: np.ndarray, draws: np.ndarray, mask: int
) -> tuple[np.ndarray, np.ndarray]:
    """Text infilling (Lewis et al. 2019, section 2.2): what is seen ``[B, L]``, -1 after its end, and which tokens are
    hidden ``[B, L]``.

    Spans of ``sizes`` ``[B, K]`` are taken in turn until ``rate`` of the tokens are hidden, the last one cut; one mask
    stands for each, and a span of no token is a mask between two tokens. Where they stand is drawn by ``draws``
    ``[B, L + 1]``: between any two of the tokens that remain, or at the ends, at most one at a place.
    """
    rows, width = np.arange(len(tokens))[:, None], tokens.shape[1]
    goal = np.round(lengths * rate).astype(np.int64)[:, None]
    before = np.cumsum(sizes, axis=1) - sizes
    used = before < goal
    sizes = np.where(used, np.minimum(sizes, goal - before), 0)
    used &= np.cumsum(used, axis=1) <= lengths[:, None] - goal + 1  # as many as there are places
    sizes = np.where(used, sizes, 0)
    # No more masks than tokens that they hide, or the text would grow.
    rank = np.cumsum(used & (sizes == 0), axis=1)
    spare = (sizes - (sizes > 0)).sum(1, keepdims=True)
    used &= (sizes > 0) | (rank <= spare)
    count = used.sum(1, keepdims=True)
    remain = lengths[:, None] - sizes.sum(1, keepdims=True)
    order = np.argsort(np.argsort(np.where(np.arange(width + 1) <= remain, draws, 2.0), axis=1), axis=1)
    gaps = order < count
    number = np.cumsum(gaps, axis=1)  # how many masks stand before the remaining token of that number
    packed = np.take_along_axis(sizes, np.argsort(~used, axis=1, kind="stable"), 1)
    at_gap = np.where(gaps, packed[rows, np.minimum(np.maximum(number - 1, 0), sizes.shape[1] - 1)], 0)
    after = np.cumsum(at_gap, axis=1)
    rest = np.arange(width)[None] < remain
    origin = np.where(rest, np.arange(width) + after[:, :width], 0)
    given = np.full((len(tokens), width + 1), -1)
    place = np.arange(width) + number[:, :width]
    given[rows, np.where(rest, np.minimum(place, width), width)] = tokens[rows, origin]
    given[rows, np.where(gaps, np.minimum(np.arange(width + 1) + number - 1, width), width)] = mask
    hidden = np.arange(width) < lengths[:, None]
    hidden[np.broadcast_to(rows, origin.shape)[rest], origin[rest]] = False
    return given[:, :width], hidden


def shuffled(documents: np.ndarray, begins: np.ndarray, fixed: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """The order ``[B, L]`` in which the sentences of each document stand once they are shuffled.

    ``begins`` says which tokens begin a sentence, ``fixed`` is -1 for tokens that stay before all of their document's
    sentences, 1 for those that stay after them, else 0; ``draws`` ``[B, L]`` are uniform. What is of no document
    stays at the end.
    """
    first = np.maximum.accumulate(np.where(begins, np.arange(documents.shape[1]), 0), axis=1)
    own = np.where(fixed == 0, np.take_along_axis(draws, first, 1), fixed * 2.0)
    value = np.where(documents < 0, np.inf, documents * 8.0 + own)
    return np.argsort(value, axis=1, kind="stable")
