"""py3langid's classifier over many texts at once (Lui and Baldwin 2012: naive Bayes over byte n-grams).

The features of a text are what an Aho-Corasick automaton passes on its way through the bytes. Its state is settled by
the last few bytes alone, so a batch is cut into short runs that all take their next step together, each starting those
few bytes early. Labels are those of the package, several times faster.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache

import numpy as np

from seedstock.corpus.languages import normalise

UNDETERMINED = "und"  # ISO 639-2
RUN = 64  # bytes: longer runs mean more steps, shorter ones more bytes that are walked twice


@dataclass(frozen=True)
class Model:
    """The automaton (``step`` [rows * 256], ``base`` and ``feature`` [states]) and the classifier.

    ``weights`` float32 [features, columns], ``prior`` float32 [columns], ``label_of`` int64 [columns], ``labels``,
    ``warm``: the bytes that settle a state.
    """

    step: np.ndarray
    base: np.ndarray
    feature: np.ndarray
    weights: np.ndarray
    prior: np.ndarray
    label_of: np.ndarray
    labels: list[str]
    warm: int


@cache
def model() -> Model:
    """The model in py3langid's wheel."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    given = LanguageIdentifier.from_model_file(MODEL_FILE)
    names = [normalise(name) for name in given.nb_classes]
    labels = list(dict.fromkeys(names))
    base = np.asarray(given.tk_row).astype(np.int32) << 8
    step = np.asarray(given.tk_nextmove).astype(np.int32, copy=False)
    return Model(
        step=step,
        base=base,
        feature=np.asarray(given.tk_output, np.int32),
        weights=np.asarray(given.nb_ptc).astype(np.float32),
        prior=np.asarray(given.nb_pc).astype(np.float32),
        label_of=np.array([labels.index(name) for name in names]),
        labels=labels,
        warm=_depth(step, base),
    )


def _depth(step: np.ndarray, base: np.ndarray) -> int:
    """The longest string that a state stands for: so many steps lead to it from the root, and so many settle it."""
    rows, row = step.reshape(-1, 256), base >> 8  # most states go on as another one does, by a row in common
    new, taken = np.ones(len(base), bool), np.zeros(len(rows), bool)
    new[0] = False
    front, depth = np.zeros(1, np.int64), -1
    while len(front):
        depth += 1
        wanted = np.zeros(len(rows), bool)
        wanted[row[front]] = True
        reached = np.zeros(len(base), bool)
        reached[rows[wanted & ~taken]] = True
        taken |= wanted
        front = np.flatnonzero(reached & new)
        new[front] = False
    return depth


def classify(texts: list[str]) -> tuple[list[str], np.ndarray]:
    """(label, confidence float32 [texts]) of each text; the confidence is py3langid's, calibrated for length.

    A text without a known feature is ``und``, with 0.
    """
    if not texts:
        return [], np.zeros(0, np.float32)
    known = model()
    encoded = [_encode(text) for text in texts]
    lengths = np.array([len(text) for text in encoded])
    scores, any_feature = _scores(
        known, np.frombuffer(b"".join(encoded), np.uint8), np.concatenate([[0], np.cumsum(lengths)])
    )
    scores /= np.sqrt(np.maximum(lengths, 1))[:, None]
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    scores /= scores.sum(axis=1, keepdims=True)
    merged = np.zeros((len(texts), len(known.labels)))
    np.add.at(merged.T, known.label_of, scores.T)
    best = merged.argmax(axis=1)
    confidence = np.minimum(merged[np.arange(len(best)), best], 1).astype(np.float32)
    confidence[~any_feature] = 0
    names = [known.labels[at] if seen else UNDETERMINED for at, seen in zip(best.tolist(), any_feature, strict=True)]
    return names, confidence


def _encode(text: str) -> bytes:
    text = unicodedata.normalize("NFC", text.lower() if text.isupper() else text)
    return text.encode("utf-8", "surrogatepass")


def _scores(known: Model, data: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The log-posteriors, float64 [texts, columns], and which texts have a feature, bool [texts]."""
    row, feature = _features(known, data, offsets)
    features, rows = len(known.weights), len(offsets) - 1
    keys = np.sort(row * features + feature)
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])[: len(keys)])
    counts = np.log1p(np.diff(first, append=len(keys)).astype(np.float32))
    row, feature = np.divmod(keys[first], features)
    edges = np.searchsorted(row, np.arange(rows + 1))
    scores = np.empty((rows, len(known.prior)))
    for at, (start, stop) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)):
        # One product a text: the sum must not depend on which other texts are in the batch.
        scores[at] = counts[start:stop] @ known.weights[feature[start:stop]] + known.prior if stop > start else 0
    return scores, np.diff(edges) > 0


def _features(known: Model, data: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(text, feature) of every feature that is passed, int64 [passed] each."""
    runs = -(-np.diff(offsets) // RUN)
    row = np.repeat(np.arange(len(runs)), runs)
    start = offsets[row] + (np.arange(len(row)) - (np.cumsum(runs) - runs)[row]) * RUN
    stop = np.minimum(start + RUN, offsets[row + 1])
    warm = np.maximum(start - known.warm, offsets[row])
    steps = RUN + known.warm
    padded = np.concatenate([data, np.zeros(steps, np.uint8)])
    state = np.zeros(len(row), np.int32)
    passed = np.empty((steps, len(row)), np.int32)
    for ahead in range(steps):
        state = known.step[known.base[state] + padded[warm + ahead]]
        passed[ahead] = known.feature[state]
    place = warm + np.arange(steps)[:, None]
    at, run = np.nonzero((passed >= 0) & (place >= start) & (place < stop))
    return row[run], passed[at, run].astype(np.int64)
