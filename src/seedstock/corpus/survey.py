"""Shares of a whole from documents that were drawn in groups with unequal chances.

The share is the weighted mean. Its variance is that of the groups' contributions inside of each source (the linearised
variance of a ratio: Särndal, Swensson and Wretman 1992, section 5.6); the interval is Wilson's for as many independent
documents as would have that variance (Korn and Graubard 1998 do so with an exact interval).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seedstock.corpus.disparity import wilson


@dataclass
class Survey:
    """The drawn documents: first ``rows`` that were read, then those that could not be.

    ``bytes`` int64 [rows]; ``weights`` float [all], how many documents each stands for; ``clusters`` [all] are (source,
    partition); ``whole`` says that everything there is was drawn, so that shares are no estimates.
    """

    rows: int
    bytes: np.ndarray
    weights: np.ndarray
    clusters: Sequence[tuple[str, str]]
    whole: bool = False

    def share(self, hit: np.ndarray) -> dict[str, Any]:
        """``{share, interval, byte_share, estimated_documents}`` of the rows that ``hit`` (bool [rows]) says."""
        weights = self.weights[: self.rows]
        total = float(weights.sum())
        share = float(weights[hit].sum() / total) if total else 0.0
        sized = weights * self.bytes
        return {
            "share": share,
            "interval": [share, share] if self.whole else list(self._interval(hit, share)),
            "byte_share": float(sized[hit].sum() / sized.sum()) if sized.sum() else 0.0,
            "estimated_documents": round(share * total),
        }

    def _interval(self, hit: np.ndarray, share: float) -> tuple[float, float]:
        weights = self.weights[: self.rows]
        square = float((weights**2).sum())
        count = float(weights.sum()) ** 2 / square if square else 0.0
        if 0 < share < 1 and (variance := self._variance(hit, share)) > 0:
            count = min(count, share * (1 - share) / variance)
        return wilson(share * count, count)

    def _variance(self, hit: np.ndarray, share: float) -> float:
        weights = self.weights[: self.rows]
        part = weights * (hit - share) / weights.sum()
        names = sorted(set(self.clusters[: self.rows]))
        number = {name: at for at, name in enumerate(names)}
        cluster = np.array([number[name] for name in self.clusters[: self.rows]])
        sources = np.array([source for source, _ in names], object)
        sums = np.bincount(cluster, part, len(names))
        variance = 0.0
        for source in dict.fromkeys(sources.tolist()):
            own = sums[sources == source]
            if len(own) < 2:  # one partition: its documents are all that is known of the spread
                own = part[np.isin(cluster, np.flatnonzero(sources == source))]
            if len(own) > 1:
                variance += len(own) / (len(own) - 1) * float(((own - own.mean()) ** 2).sum())
        return variance
