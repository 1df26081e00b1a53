"""A logistic regression on hashed word n-grams (Weinberger et al. 2009, arXiv:0902.2206), scored in batches.

A text's features are the counts of its n-grams over the square root of their number, so that evidence grows with
length, but slower; the probability is calibrated (Platt 1999) on documents that were held out of training.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from seedstock.corpus.classify.tokens import Tokens, ngrams, tokens
from seedstock.errors import DataError, IntegrityError, RecipeError
from seedstock.ledger.files import atomic_folder, read_json, write_json
from seedstock.ledger.ids import sha256_file

FORMAT = 1
KIND = "linear"
RECORD, WEIGHTS = "model.json", "weights.npy"


@dataclass(frozen=True)
class Linear:
    """``weights`` float32 [2^bits], for hashed n-grams of up to ``order`` words; ``slope`` and ``shift`` calibrate."""

    weights: np.ndarray
    bias: float
    order: int
    slope: float
    shift: float
    labels: tuple[str, str]  # negative, positive

    @property
    def bits(self) -> int:
        return len(self.weights).bit_length() - 1

    def margins(self, text: pa.Array) -> np.ndarray:
        """The uncalibrated log-odds of each text of a large_string array, float64 [texts]."""
        parts = [self._margins(piece) for piece in tokens(text)]
        return np.concatenate(parts) if parts else np.zeros(0)

    def _margins(self, found: Tokens) -> np.ndarray:
        total, count = np.zeros(found.rows), np.zeros(found.rows)
        for _, places, hashes in ngrams(found, self.order):
            row = found.row[places]
            total += np.bincount(row, self.weights[buckets(hashes, self.bits)], found.rows)
            count += np.bincount(row, minlength=found.rows)
        return total / np.sqrt(np.maximum(count, 1)) + self.bias

    def scores(self, text: pa.Array) -> np.ndarray:
        """The calibrated probability of the positive label, float64 [texts]; without words, what the bias says."""
        return sigmoid(self.slope * self.margins(text) + self.shift)


def buckets(hashes: np.ndarray, bits: int) -> np.ndarray:
    """The place of each uint64 hash in a table of 2^bits, int64."""
    return (hashes >> np.uint64(64 - bits)).astype(np.int64)


def sigmoid(value: np.ndarray) -> np.ndarray:
    """The logistic function, without overflow."""
    small = np.exp(-np.abs(value))
    return np.where(value >= 0, 1, small) / (1 + small)


def save(model: Linear, folder: Path, report: dict[str, Any]) -> str:
    """Writes a model's folder (model.json, weights.npy) and returns its digest; ``report`` is kept in it."""
    with atomic_folder(folder) as beside:
        np.save(beside / WEIGHTS, model.weights)
        record = {
            "format": FORMAT,
            "kind": KIND,
            "order": model.order,
            "bits": model.bits,
            "bias": model.bias,
            "slope": model.slope,
            "shift": model.shift,
            "labels": list(model.labels),
            "weights_sha256": sha256_file(beside / WEIGHTS),
            "report": report,
        }
        write_json(beside / RECORD, record)
    return digest(folder)


def digest(folder: Path) -> str:
    """What tells one model from another: of model.json, which has the digest of the rest. Raises RecipeError."""
    if not (folder / RECORD).is_file():
        raise RecipeError(
            "there is no trained model",
            where=folder,
            fix="train one: seedstock classifier train --positive FILES --negative FILES --out FOLDER",
        )
    return sha256_file(folder / RECORD)


def load(folder: Path) -> Linear:
    """Reads a model's folder. Raises RecipeError, DataError or IntegrityError where it is none, or damaged."""
    digest(folder)
    record = read_json(folder / RECORD)
    if record.get("kind") != KIND or record.get("format") != FORMAT:
        raise DataError(
            f"not a model of this kind: {record.get('kind')!r}, format {record.get('format')!r}",
            where=folder / RECORD,
            fix="name the folder that `seedstock classifier train` wrote",
        )
    path = folder / WEIGHTS
    if not path.is_file() or sha256_file(path) != record["weights_sha256"]:
        raise IntegrityError("missing, or not what model.json says", where=path, fix="train the model again")
    weights = np.load(path, allow_pickle=False)
    if weights.shape != (1 << record["bits"],) or weights.dtype != np.float32:
        raise IntegrityError("not the table that model.json describes", where=path, fix="train the model again")
    low, high = record["labels"]
    return Linear(weights, record["bias"], record["order"], record["slope"], record["shift"], (low, high))
