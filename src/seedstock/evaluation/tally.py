"""Sums over documents: bits per byte with its standard error, in total and by source, domain and language."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

LN2 = math.log(2)


def ratio(amounts: np.ndarray, sizes: np.ndarray) -> tuple[float | None, float | None]:
    """Sum of amounts over sum of sizes, with its standard error over documents.

    The documents are the sampling units, so the error is that of a ratio estimator (Cochran 1977, Sampling
    Techniques, section 6.4): sqrt(n / (n - 1) · Σ (amount - R size)²) / Σ size. None without
    size, or below two documents.
    """
    total = float(sizes.sum())
    if not total:
        return None, None
    value, n = float(amounts.sum()) / total, len(amounts)
    if n < 2:
        return value, None
    return value, math.sqrt(n / (n - 1) * float(((amounts - value * sizes) ** 2).sum())) / total


def by_group(labels: Mapping[str, Sequence[str]], summarise: Callable[[np.ndarray], Any]) -> dict[str, dict[str, Any]]:
    """``summarise(rows)`` for the documents of each source, of each domain, of each language: {group: {name: …}}."""
    result: dict[str, dict[str, Any]] = {}
    for group, names in labels.items():
        known, which = np.unique(np.asarray(names, dtype=object).astype(str), return_inverse=True)
        result[group] = {str(name): summarise(np.flatnonzero(which == number)) for number, name in enumerate(known)}
    return result
