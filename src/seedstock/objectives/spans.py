"""Text with parts of it hidden, in numpy: spans behind sentinels (Raffel et al. 2020).

Rows may have fewer tokens than their array; every draw is handed in.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def compact(tokens: np.ndarray, documents: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokens and documents ``[B, L]`` with what is of no document moved to the end, and how many remain ``[B]``."""
    kept = documents >= 0
    order = np.argsort(~kept, axis=1, kind="stable")
    return np.take_along_axis(tokens, order, 1), np.take_along_axis(documents, order, 1), kept.sum(1)


def amounts(lengths: np.ndarray, rate: float, mean_span: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Hidden tokens and spans of rows of ``lengths`` tokens (Raffel et al. 2020, section 3.1.4), both 0 below 2 tokens.

    ``mean_span`` None is a single span. At least one token is hidden, one seen, and spans never touch.
    """
    hidden = np.clip(np.round(lengths * rate), 1, np.maximum(lengths - 1, 1)).astype(np.int64)
    spans = np.ones_like(hidden) if mean_span is None else np.maximum(np.round(hidden / mean_span), 1).astype(np.int64)
    spans = np.minimum(spans, np.minimum(hidden, lengths - hidden))
    return np.where(lengths > 1, hidden, 0), np.where(lengths > 1, spans, 0)


def parts(draws: np.ndarray, totals: np.ndarray, counts: np.ndarray, most: int) -> np.ndarray:
    """Sizes ``[B, most]`` of ``counts`` parts of at least one that add up to ``totals``, every such list as likely.

    ``draws`` ``[B, L]`` are uniform: parts begin at the places of the smallest ones.
    """
    at = np.arange(draws.shape[1])
    may = (at > 0) & (at < totals[:, None])
    rank = np.argsort(np.argsort(np.where(may, draws, 2.0), axis=1), axis=1)
    begins = (may & (rank < counts[:, None] - 1)) | ((at == 0) & (totals[:, None] > 0))
    number = np.cumsum(begins, axis=1) - 1
    sizes = np.zeros((len(draws), most), np.int64)
    np.add.at(sizes, (np.arange(len(draws))[:, None], np.maximum(number, 0)), at < totals[:, None])
    return sizes


def hide(
    lengths: np.ndarray, hidden: np.ndarray, spans: np.ndarray, draws: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Which tokens are hidden, boolean ``[B, L]``: spans and what is between them in turn, the first of which is seen.

    ``draws`` are two arrays of uniform numbers ``[B, L]``.
    """
    most, width = int(spans.max(initial=1)), draws[0].shape[1]
    turns = np.zeros((len(lengths), 2 * max(most, 1)), np.int64)
    turns[:, 0::2] = parts(draws[0], lengths - hidden, spans, max(most, 1))
    turns[:, 1::2] = parts(draws[1], hidden, spans, max(most, 1))
    marks = np.zeros((len(lengths), width + 1), np.int64)
    np.add.at(marks, (np.arange(len(lengths))[:, None], np.cumsum(turns, axis=1)), 1)
    odd = np.cumsum(marks[:, :width], axis=1) % 2 == 1
    return odd & (np.arange(width) < lengths[:, None]) & (hidden > 0)[:, None]


def behind_sentinels(
    tokens: np.ndarray, lengths: np.ndarray, hidden: np.ndarray, sentinels: Sequence[int], widths: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """What is seen and what is asked for, ``[B, S]`` and ``[B, T]``, -1 after their ends.

    A hidden span is its own sentinel in the first; the second is every sentinel with the span that it stands for.
    """
    rows, width = np.arange(len(tokens))[:, None], tokens.shape[1]
    begins = hidden.copy()
    begins[:, 1:] &= ~hidden[:, :-1]
    number = np.cumsum(begins, axis=1) - 1
    marks = np.asarray(sentinels)[np.maximum(number, 0)]
    seen = (~hidden | begins) & (np.arange(width) < lengths[:, None])
    given, asked = np.full((len(tokens), widths[0] + 1), -1), np.full((len(tokens), widths[1] + 1), -1)
    # What has no place goes into one more column, which is cut off.
    given[rows, np.where(seen, np.cumsum(seen, axis=1) - 1, widths[0])] = np.where(begins, marks, tokens)
    place = np.cumsum(hidden, axis=1) + number
    asked[rows, np.where(hidden, place, widths[1])] = tokens
    asked[rows, np.where(begins, place - 1, widths[1])] = marks
    return given[:, : widths[0]], asked[:, : widths[1]]


def join(given: Sequence[int], asked: Sequence[int], sentinels: Sequence[int]) -> list[int]:
    """The text that ``given`` was made of: each sentinel's place taken by what ``asked`` has after it."""
    known, spans, own = set(sentinels), {}, list[int]()
    for token in asked:
        if token in known:
            spans[token] = own = []
        else:
            own.append(token)
    return [word for token in given for word in (spans.get(token, []) if token in known else [token])]
