"""Trains a linear classifier from two lists of texts, and says how good it is on texts that were held out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa

from seedstock.corpus.classify import metrics
from seedstock.corpus.classify.lbfgs import minimise
from seedstock.corpus.classify.linear import Linear, buckets, sigmoid
from seedstock.corpus.classify.tokens import Tokens, ngrams, tokens
from seedstock.errors import DataError

FEWEST = 20  # of each label
PENALTIES = (1e-5, 1e-6, 1e-7)  # of the squared weights; each starts from what the stronger one found
SHOWN = 15  # features with the largest weights
TRAIN, CALIBRATE, TEST = 0, 1, 2


@dataclass(frozen=True)
class Rows:
    """Sparse features: ``columns`` int32 [entries] of the rows that begin at ``starts`` int64 [rows + 1]."""

    columns: np.ndarray
    starts: np.ndarray

    def __len__(self) -> int:
        return len(self.starts) - 1

    def scale(self) -> np.ndarray:
        """One over the square root of each row's entries."""
        return 1 / np.sqrt(np.maximum(np.diff(self.starts), 1))

    def take(self, rows: np.ndarray) -> Rows:
        lengths = np.diff(self.starts)[rows]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        at = np.repeat(self.starts[:-1][rows] - starts[:-1], lengths) + np.arange(starts[-1])
        return Rows(self.columns[at], starts)


def train(
    positive: list[str],
    negative: list[str],
    *,
    labels: tuple[str, str] = ("negative", "positive"),
    order: int = 2,
    bits: int = 20,
    say: Callable[[str], None] = lambda text: None,
) -> tuple[Linear, dict[str, Any]]:
    """A model (labels are negative, positive) and its report; the same for the same texts.

    A tenth of the texts calibrates and chooses the penalty, a fifth is held out for the report; which, is drawn by
    digest, so that a text stays where it is. Texts that have both labels are left out. Both labels weigh the same, so a
    probability is that of a world where they are equally common. Raises DataError where there are too few.
    """
    texts, target, part, both = _split(positive, negative)
    for label, kind in ((labels[1], True), (labels[0], False)):
        have = [int(((target == kind) & (part == at)).sum()) for at in (TRAIN, CALIBRATE, TEST)]
        if sum(have) < FEWEST or not all(have):
            raise DataError(
                f"{sum(have)} different texts are labelled {label!r}; at least {FEWEST} are needed",
                fix="label more, as unlike each other as what is to be scored",
            )
    say(f"{len(texts)} texts, {both} of them with both labels were left out")
    rows = features(texts, order, bits)
    weight = np.where(target, 0.5 / target.mean(), 0.5 / (1 - target.mean()))
    tried = []
    weights, bias = np.zeros(1 << bits), 0.0
    for penalty in PENALTIES:
        known = np.flatnonzero(part == TRAIN)
        weights, bias = _fit(rows.take(known), target[known], weight[known], weights, bias, penalty)
        margins = _margins(rows, weights, bias)
        apart = np.flatnonzero(part == CALIBRATE)
        slope, shift = _platt(margins[apart], target[apart], weight[apart])
        chosen = slope * margins + shift
        loss = _loss(chosen[apart], target[apart], weight[apart])
        tried.append((loss, penalty, weights, bias, slope, shift, sigmoid(chosen), sigmoid(margins)))
        say(f"penalty {penalty:g}: {loss:.4f} nats on the calibration part")
    loss, penalty, weights, bias, slope, shift, scores, raw = min(tried, key=lambda one: one[0])
    model = Linear(weights.astype(np.float32), float(bias), order, slope, shift, labels)
    test = part == TEST
    report = {
        "documents": {name: int((part == at).sum()) for name, at in (("train", TRAIN), ("calibrate", CALIBRATE))},
        "held_out": {
            labels[1]: int((test & target).sum()),
            labels[0]: int((test & ~target).sum()),
            "auc": metrics.auc(scores[test], target[test]),
            **metrics.confusion(scores[test], target[test]),
            "calibration_error": metrics.calibration_error(scores[test], target[test], weight[test]),
            "calibration_error_before": metrics.calibration_error(raw[test], target[test], weight[test]),
            "reliability": metrics.reliability(scores[test], target[test], weight[test]),
        },
        "both_labels": both,
        "penalty": penalty,
        "features": top(model, [text for text, at in zip(texts, part, strict=True) if at == TRAIN]),
    }
    return model, report


def _split(positive: list[str], negative: list[str]) -> tuple[list[str], np.ndarray, np.ndarray, int]:
    keys = [
        [blake2b(" ".join(t.split()).encode(errors="replace"), digest_size=8).digest() for t in texts]
        for texts in (positive, negative)
    ]
    shared = set(keys[0]) & set(keys[1])
    kept: dict[bytes, tuple[str, bool]] = {}
    for numbers, texts, label in zip(keys, (positive, negative), (True, False), strict=True):
        for key, text in zip(numbers, texts, strict=True):
            if key not in shared and key not in kept:
                kept[key] = (text, label)
    draw = np.array([int.from_bytes(key, "big") % 10 for key in kept])
    part = np.select([draw == 0, draw < 3], [CALIBRATE, TEST], TRAIN)
    target = np.array([label for _, label in kept.values()], bool)
    return [text for text, _ in kept.values()], target, part, len(shared)


def features(texts: list[str], order: int, bits: int) -> Rows:
    """The hashed n-grams of each text, in ascending order of their buckets."""
    columns, lengths = [], []
    for found in tokens(pa.array(texts, pa.large_string())):
        pairs = [(found.row[places], buckets(hashes, bits)) for _, places, hashes in ngrams(found, order)]
        row, bucket = (np.concatenate(side) for side in zip(*pairs, strict=True))
        keys = np.sort(row << bits | bucket)
        columns.append((keys & ((1 << bits) - 1)).astype(np.int32))
        lengths.append(np.bincount(row, minlength=found.rows))
    starts = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]) if lengths else np.zeros(1, np.int64)
    return Rows(np.concatenate(columns) if columns else np.zeros(0, np.int32), starts)


def _margins(rows: Rows, weights: np.ndarray, bias: float) -> np.ndarray:
    total = np.concatenate([[0.0], np.cumsum(weights[rows.columns])])
    return (total[rows.starts[1:]] - total[rows.starts[:-1]]) * rows.scale() + bias


def _loss(margin: np.ndarray, target: np.ndarray, weight: np.ndarray) -> float:
    """The weighted mean of the logistic loss, nats."""
    return float((np.logaddexp(0, np.where(target, -margin, margin)) * weight).sum() / weight.sum())


def _fit(
    rows: Rows, target: np.ndarray, weight: np.ndarray, start: np.ndarray, bias: float, penalty: float
) -> tuple[np.ndarray, float]:
    """The weights (as many as ``start`` has) and the bias with the least penalised loss."""
    scale, total = rows.scale(), weight.sum()
    row = np.repeat(np.arange(len(rows)), np.diff(rows.starts))
    used, column = np.unique(rows.columns, return_inverse=True)

    def objective(at: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = at[:-1], at[-1]
        margin = np.bincount(row, weights[column], len(rows)) * scale + bias
        error = (sigmoid(margin) - target) * weight / total
        gradient = np.bincount(column, (error * scale)[row], len(used)) + 2 * penalty * weights
        loss = _loss(margin, target, weight) + penalty * float(weights @ weights)
        return loss, np.append(gradient, error.sum())

    found = minimise(objective, np.append(start[used], bias))
    weights = np.zeros(len(start))
    weights[used] = found[:-1]
    return weights, float(found[-1])


def _platt(margin: np.ndarray, target: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """The slope and shift that make probabilities of margins, with Platt's smoothed targets."""
    high, low = target.sum(), (~target).sum()
    wanted = np.where(target, (high + 1) / (high + 2), 1 / (low + 2))

    def objective(at: np.ndarray) -> tuple[float, np.ndarray]:
        value = at[0] * margin + at[1]
        loss = (np.logaddexp(0, value) - wanted * value) * weight
        error = (sigmoid(value) - wanted) * weight
        return float(loss.sum()), np.array([error @ margin, error.sum()])

    slope, shift = minimise(objective, np.array([1.0, 0.0]), tolerance=1e-9)
    return (float(slope), float(shift)) if slope > 0 else (1.0, 0.0)


def top(model: Linear, texts: list[str], sample: int = 4000) -> dict[str, list[list[Any]]]:
    """The n-grams that speak most for each label: [n-gram, weight, texts that have it], of a sample of the texts."""
    texts = texts[:: max(1, len(texts) // sample)]
    seen: dict[str, tuple[float, int]] = {}
    least = max(3, len(texts) // 500)
    counts = np.bincount(features(texts, model.order, model.bits).columns, minlength=len(model.weights))
    common = np.where(counts >= least, model.weights, 0)
    edge = np.sort(np.abs(common))[-min(len(common), 40 * SHOWN)]
    for found in tokens(pa.array(texts, pa.large_string())):
        for n, places, hashes in ngrams(found, model.order):
            bucket = buckets(hashes, model.bits)
            chosen = np.flatnonzero((np.abs(common[bucket]) >= edge) & (common[bucket] != 0))
            for place, at in zip(places[chosen].tolist(), bucket[chosen].tolist(), strict=True):
                name = _name(found, place, n)
                seen[name] = (float(common[at]), seen.get(name, (0.0, 0))[1] + 1)
    seen = {name: found for name, found in seen.items() if found[1] >= least}  # a rare one may only share a bucket
    ranked = sorted(seen, key=lambda name: (seen[name][0], name))
    listed = {model.labels[1]: ranked[::-1][:SHOWN], model.labels[0]: ranked[:SHOWN]}
    return {
        label: [[name, round(seen[name][0], 3), seen[name][1]] for name in names] for label, names in listed.items()
    }


def _name(found: Tokens, place: int, n: int) -> str:
    return " ".join(found.vocabulary[int(code)].as_py()[:40] for code in found.codes[place : place + n])
