"""The floors of a run: what counts and a compressor make of the same held-out bytes, before any network."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from seedstock.errors import DataError
from seedstock.evaluation.compress import compress
from seedstock.evaluation.config import EvaluationConfig
from seedstock.evaluation.counts import CountModel
from seedstock.evaluation.tally import LN2, by_group, ratio
from seedstock.evaluation.texts import Texts, below, per_document, read, together
from seedstock.progress import Reporter, Silent

FORMAT = 1


def floors(
    corpus: Any,
    config: EvaluationConfig | None = None,
    *,
    only: frozenset[bytes] | None = None,
    characters: bool = False,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Every floor of a corpus, as ``evaluation/floors.json`` keeps it.

    Count models of order 0 to ``config.floor_order`` over bytes, trained on the edited text of the training split and
    scored on the held-out split, or on its documents in ``only``; ``xz`` on the same bytes; and where ``characters``
    is set (a model of characters), count models over characters with Witten-Bell and with add-0.1 smoothing, in nats
    a character. Above ``floor_limit`` bytes the counts are taken of a sample of the training documents, and
    ``training`` says how large it was. Raises DataError where either split is empty.
    """
    config, reporter, began = config or EvaluationConfig(), reporter or Silent(), time.monotonic()
    held_out = list(read(corpus, "held_out", only))
    if not any(len(texts.data) for texts in held_out):
        raise DataError(
            "the held-out split has no text", where="corpus.held_out", fix="raise corpus.held_out, or add documents"
        )
    available = sum(int(stratum["bytes"]) for stratum in corpus.strata)
    share = min(1.0, config.floor_limit / max(1, available))
    model = CountModel(256, config.floor_order)
    sample: list[bytes] = []
    letters = _Characters() if characters else None
    documents = 0
    with reporter.bar("count models", available * share, "B") as bar:
        for texts in read(corpus, "train"):
            for_xz = texts.chosen(below(texts.ids, config.compress_limit / max(1, available)))
            sample.append(for_xz.data.tobytes())
            texts = texts if share >= 1 else texts.chosen(below(texts.ids, share))
            model.add(texts.data, texts.lengths)
            documents += len(texts.lengths)
            if letters:
                letters.training.append(texts)
            bar.advance(len(texts.data))
    if not model.symbols:
        raise DataError("there is no training text to count", where="corpus", fix="add documents, or raise floor_limit")
    whole = together(held_out)
    nats = [per_document(model.witten_bell(texts.data, texts.lengths), texts.lengths) for texts in held_out]
    result = {
        "format": FORMAT,
        "held_out": {"documents": len(whole.lengths), "bytes": len(whole.data)},
        "training": {"documents": documents, "bytes": model.symbols, "available_bytes": available},
        "bytes": {"smoothing": "Witten-Bell, interpolated", "unit": "bits per byte", **_orders(np.hstack(nats), whole)},
        "xz": compress(whole.data[: config.compress_limit].tobytes(), b"".join(sample)[: config.compress_limit]),
    }
    if letters:
        result["characters"] = letters.floors(whole, config.floor_order)
    result["seconds"] = round(time.monotonic() - began, 2)
    return result


def best_order(floors: dict[str, Any]) -> tuple[int, float]:
    """The order whose count model predicts the held-out bytes best, and its bits per byte."""
    values = {int(order): entry["bits_per_byte"] for order, entry in floors["bytes"]["orders"].items()}
    order = min(values, key=lambda order: values[order])
    return order, values[order]


def _orders(nats: np.ndarray, texts: Texts) -> dict[str, Any]:
    """Bits per byte by order, in total with the standard error and by group: ``nats`` is ``[orders, D]``."""
    bits = nats / LN2
    total = {}
    for order, row in enumerate(bits):
        value, error = ratio(row, texts.lengths)
        total[str(order)] = {"bits_per_byte": value, "standard_error": error}
    groups = by_group(
        texts.labels,
        lambda rows: {str(order): ratio(row[rows], texts.lengths[rows])[0] for order, row in enumerate(bits)},
    )
    return {"orders": total, "by": groups}


class _Characters:
    """Count models over the characters of the training text, one more symbol standing for any other."""

    def __init__(self) -> None:
        self.training: list[Texts] = []

    def floors(self, held_out: Texts, order: int) -> dict[str, Any]:
        training = together(self.training)
        points, lengths = _points(training)
        alphabet = np.unique(points)
        seen, held_lengths = _points(held_out)
        at = np.minimum(np.searchsorted(alphabet, seen), len(alphabet) - 1)
        known = alphabet[at] == seen
        model = CountModel.fitting(len(alphabet) + (not known.all()), order)
        model.add(np.searchsorted(alphabet, points), lengths)
        symbols = np.where(known, at, len(alphabet))
        by_smoothing = {
            "witten_bell": model.witten_bell(symbols, held_lengths),
            "add_0.1": model.additive(symbols, held_lengths, 0.1),
        }
        return {
            "unit": "nats per character",
            "alphabet": model.vocabulary,
            "held_out_characters": len(symbols),
            **{name: {str(n): float(row.mean()) for n, row in enumerate(nats)} for name, nats in by_smoothing.items()},
        }


def _points(texts: Texts) -> tuple[np.ndarray, np.ndarray]:
    """Code points of all documents in a row, and the characters of each."""
    points = np.frombuffer(texts.data.tobytes().decode().encode("utf-32-le"), np.uint32)
    begins = (texts.data & 0xC0) != 0x80  # every byte that does not continue a character
    return points, np.rint(per_document(begins.astype(np.float64), texts.lengths)).astype(np.int64)
