"""How good scores are: area under the ROC curve, accuracy, precision and recall, calibration."""

from __future__ import annotations

import numpy as np


def auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """The chance that a positive scores above a negative, ties counting half (Mann and Whitney); 0.5 without both."""
    order = np.argsort(scores, kind="stable")
    _, first, counts = np.unique(scores[order], return_index=True, return_counts=True)
    ranks = np.empty(len(scores))
    ranks[order] = np.repeat(first + (counts + 1) / 2, counts)
    high = int(positive.sum())
    low = len(positive) - high
    return float((ranks[positive].sum() - high * (high + 1) / 2) / (high * low)) if high and low else 0.5


def confusion(scores: np.ndarray, positive: np.ndarray, threshold: float = 0.5) -> dict[str, float]:
    """accuracy, precision, recall and false_positive_rate at a threshold; 0 where nothing is there to divide by."""
    said = scores >= threshold
    true, false = int((said & positive).sum()), int((said & ~positive).sum())
    return {
        "accuracy": float((said == positive).mean()) if len(positive) else 0.0,
        "precision": true / max(1, true + false),
        "recall": true / max(1, int(positive.sum())),
        "false_positive_rate": false / max(1, int((~positive).sum())),
    }


def reliability(
    scores: np.ndarray, positive: np.ndarray, weight: np.ndarray | None = None, bins: int = 10
) -> list[dict[str, float]]:
    """Mean score and share of positives in bins of equal width, empty ones left out; ``weight``: of documents."""
    weight = np.ones(len(scores)) if weight is None else weight
    number = np.minimum((scores * bins).astype(int), bins - 1)
    rows = []
    for at in range(bins):
        inside = number == at
        if inside.any():
            total = float(weight[inside].sum())
            rows.append(
                {
                    "from": at / bins,
                    "documents": int(inside.sum()),
                    "weight": total / float(weight.sum()),
                    "score": float(scores[inside] @ weight[inside]) / total,
                    "positive": float(positive[inside] @ weight[inside]) / total,
                }
            )
    return rows


def calibration_error(
    scores: np.ndarray, positive: np.ndarray, weight: np.ndarray | None = None, bins: int = 10
) -> float:
    """The expected calibration error (Naeini et al. 2015): how far scores are from shares, by bins."""
    return sum(
        row["weight"] * abs(row["score"] - row["positive"]) for row in reliability(scores, positive, weight, bins)
    )
