"""Scores of classifiers with their intervals, from labels and what was said of them. Numpy alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from seedstock.corpus.disparity import wilson
from seedstock.inputs.keys import derive

RESAMPLES = 2000
Z = 1.959963984540054  # of a 95 % interval


def scores(labels: np.ndarray, predicted: np.ndarray, names: list[str], seed: int = 0) -> dict[str, Any]:
    """Accuracy with Wilson's interval (1927), macro-F1 with a percentile bootstrap's (Efron 1979), both 95 %.

    ``labels`` and ``predicted`` are class numbers, int ``[N]``; -1 in ``predicted`` is no class at all, and wrong. F1
    of a class that neither side has is left out of the mean. ``most_frequent`` is the accuracy of always saying the
    most frequent class of these labels. Raises ValueError where there are none.
    """
    labels, predicted = np.asarray(labels), np.asarray(predicted)
    if not len(labels):
        raise ValueError("no labels to score")
    count, right = len(labels), int((labels == predicted).sum())
    table = confusion(labels, predicted, len(names))
    tallies = _resampled(labels, predicted, len(names), seed)
    return {
        "texts": count,
        "accuracy": right / count,
        "accuracy_interval": list(wilson(right, count)),
        "macro_f1": _macro_f1(table[None])[0],
        "macro_f1_interval": [float(value) for value in np.quantile(_macro_f1(tallies), [0.025, 0.975])],
        "most_frequent": int(table.sum(1).max()) / count,
        "classes": _by_class(table, names) if len(names) <= 100 else {},
    }


def confusion(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """int64 ``[C, C + 1]``: texts of each class (rows) by what was said; the last column is no class."""
    said = np.where(predicted < 0, classes, predicted)
    cells = np.bincount(labels * (classes + 1) + said, minlength=classes * (classes + 1))
    return cells.reshape(classes, classes + 1)


def compared(labels: np.ndarray, one: np.ndarray, other: np.ndarray) -> dict[str, Any]:
    """Two classifiers on the same texts: ``difference`` of their accuracies (one - other), its 95 % interval (of
    paired shares, by the normal approximation) and ``p`` of McNemar's exact test (1947)."""
    ours, theirs = np.asarray(one) == labels, np.asarray(other) == labels
    gains, losses, count = int((ours & ~theirs).sum()), int((theirs & ~ours).sum()), len(labels)
    difference = (gains - losses) / count
    spread = math.sqrt(max(0.0, (gains + losses) / count - difference**2) / count)
    parted = gains + losses
    tail = sum(math.comb(parted, k) for k in range(min(gains, losses) + 1))
    return {
        "texts": count,
        "difference": difference,
        "interval": [difference - Z * spread, difference + Z * spread],
        "p": min(1.0, 2 * tail / 2**parted),
    }


def _macro_f1(tables: np.ndarray) -> np.ndarray:
    """float ``[R]`` of confusion tables ``[R, C, C + 1]``."""
    classes = tables.shape[1]
    right = tables[:, range(classes), range(classes)]
    both = tables.sum(2) + tables[:, :, :classes].sum(1)
    f1 = np.divide(2 * right, both, out=np.zeros(right.shape), where=both > 0)
    return f1.sum(1) / np.maximum((both > 0).sum(1), 1)


def _resampled(labels: np.ndarray, predicted: np.ndarray, classes: int, seed: int) -> np.ndarray:
    """Confusion tables of ``RESAMPLES`` bootstrap samples: draws from the cells, which is drawing texts anew."""
    cells = confusion(labels, predicted, classes).ravel()
    generator = np.random.Generator(np.random.Philox(key=int(derive(seed, "bootstrap")[0])))
    drawn = generator.multinomial(len(labels), cells / cells.sum(), size=RESAMPLES)
    return drawn.reshape(RESAMPLES, classes, classes + 1)


def _by_class(table: np.ndarray, names: list[str]) -> dict[str, dict[str, Any]]:
    said = table[:, : len(names)].sum(0)
    found = {}
    for number, name in enumerate(names):
        right, texts = int(table[number, number]), int(table[number].sum())
        both = texts + int(said[number])
        found[name] = {
            "texts": texts,
            "recall": right / texts if texts else None,
            "precision": right / int(said[number]) if said[number] else None,
            "f1": 2 * right / both if both else None,
        }
    return found
