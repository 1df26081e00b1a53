"""Differences of paired runs, with 95 % intervals: over seeds, and over the documents that both were scored on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Table = Mapping[str, NDArray[Any]]

STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
"""Student's t at 97.5 %, by degrees of freedom from 1 on."""
SAMPLES = 2000


def student(freedom: int) -> float:
    """The quantile at 97.5 %; beyond the table by its expansion about the normal one (Fisher and Cornish)."""
    if freedom <= len(STUDENT):
        return STUDENT[freedom - 1]
    z = 1.959964
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


def over_seeds(baseline: Sequence[float], other: Sequence[float]) -> dict[str, Any]:
    """The mean of the differences of pairs and Student's interval for it; no interval for one pair."""
    differences = np.array(other, float) - np.array(baseline, float)
    mean, interval = float(differences.mean()), None
    if len(differences) > 1:
        half = student(len(differences) - 1) * float(differences.std(ddof=1)) / math.sqrt(len(differences))
        interval = [mean - half, mean + half]
    return {"difference": mean, "interval": interval, "pairs": differences.tolist()}


def by_documents(pairs: Sequence[tuple[Table, Table]], *, seed: int = 1) -> dict[str, Any] | None:
    """The difference in bits per byte over the documents that both runs of a pair were scored on, mean over pairs.

    Tables have ``id``, ``size`` (bytes) and ``loss`` (bits). The interval is of documents drawn anew (a paired
    bootstrap), those of each pair for themselves. None where a pair has fewer than two in common.
    """
    random, drawn, whole, counts = np.random.default_rng(seed), np.zeros(SAMPLES), [], []
    for one, two in pairs:
        if "id" not in one or "id" not in two:
            return None
        _, a, b = np.intersect1d(one["id"], two["id"], return_indices=True)
        kept = (one["size"][a] > 0) & (two["size"][b] > 0)
        a, b = a[kept], b[kept]
        if len(a) < 2:
            return None
        sums = np.stack([two["loss"][b], two["size"][b], one["loss"][a], one["size"][a]]).astype(float)
        whole.append(_difference(sums.sum(1)))
        counts.append(len(a))
        for start in range(0, SAMPLES, 100):  # a hundred at a time: a split may have many documents
            times = random.multinomial(len(a), np.full(len(a), 1 / len(a)), 100)
            drawn[start : start + 100] += _difference(sums @ times.T) / len(pairs)
    low, high = np.quantile(drawn, (0.025, 0.975))
    found = {"difference": float(np.mean(whole)), "interval": [float(low), float(high)]}
    return found | {"documents": counts, "pairs": [float(one) for one in whole]}


def _difference(sums: NDArray[np.float64]) -> Any:
    return sums[0] / sums[1] - sums[2] / sums[3]
