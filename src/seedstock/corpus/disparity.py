"""Is a group left out more often than the rest? A ratio with a threshold, and a test that is exact for small counts.

The four-fifths rule (29 CFR 1607.4 D) takes notice where a group's rate is below 0.8 of the one it is compared with. A
small group falls below it by chance, so the ratio stands beside an exact test: how likely a draw of as many documents
without regard to the group keeps as few (Fisher 1935, one side), corrected for the number of comparisons (Holm 1979).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, lgamma, sqrt

RATIO = 0.8
ALPHA = 0.05
FEWEST = 10  # documents of a group: fewer are said to be too few


def tail(kept: int, group: int, all_kept: int, all_documents: int) -> float:
    """The probability that ``group`` documents, drawn from all without regard to the group, hold at most ``kept``.

    The lower tail of the hypergeometric distribution, summed from its largest term down: exact to about 1e-9, in a few
    thousand additions at most.
    """
    low, high = max(0, group - (all_documents - all_kept)), min(group, all_kept)
    if kept >= high:
        return 1.0
    if kept < low:
        return 0.0
    # The tail is summed on the side of the mode where terms only become smaller.
    mode = (group + 1) * (all_kept + 1) // (all_documents + 2)
    if kept > mode:
        return 1.0 - _falls(kept + 1, high, 1, group, all_kept, all_documents)
    return min(1.0, _falls(kept, low, -1, group, all_kept, all_documents))


def _falls(start: int, stop: int, step: int, group: int, all_kept: int, all_documents: int) -> float:
    """The probabilities from ``start`` to ``stop``, added up until they are nothing beside the first."""
    others = all_documents - all_kept
    term = exp(
        _choose(all_kept, start) + _choose(others, group - start) - _choose(all_documents, group)
    )  # underflows to 0 where the answer is below 1e-300
    total, at = 0.0, start
    while term > 0 and (at - stop) * step <= 0:
        total += term
        if term < 1e-17 * total:
            break
        if step < 0:
            term *= at * (others - group + at) / ((all_kept - at + 1) * (group - at + 1))
        else:
            term *= (all_kept - at) * (group - at) / ((at + 1) * (others - group + at + 1))
        at += step
    return total


def _choose(n: int, k: int) -> float:
    """The logarithm of a binomial coefficient."""
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) if 0 <= k <= n else -float("inf")


def holm(values: Sequence[float]) -> list[float]:
    """The p-values corrected for there being so many of them, each at most 1 (Holm 1979)."""
    found, largest = [1.0] * len(values), 0.0
    for place, at in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        largest = max(largest, min(1.0, values[at] * (len(values) - place)))
        found[at] = largest
    return found


def wilson(hits: float, count: float, level: float = 1.959964) -> tuple[float, float]:
    """The 95 % interval of a share of ``count`` draws (Wilson 1927); (0, 1) where there are none.

    ``count`` may be an effective number of draws, and no whole number.
    """
    if count <= 0:
        return 0.0, 1.0
    share, square = hits / count, level * level
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = level / (1 + square / count) * sqrt(max(0.0, share * (1 - share) / count + square / (4 * count * count)))
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))  # beyond rounding
