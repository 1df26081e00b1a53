"""Floors in nats a token: what counts over the training tokens make of the held-out ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from seedstock.errors import DataError
from seedstock.evaluation.beside import Beside
from seedstock.evaluation.counts import CountModel
from seedstock.evaluation.tally import ratio

FORMAT = 1
ORDER = 3


def token_floors(shards: Any, *, order: int = ORDER, limit: int = 512_000_000) -> dict[str, Any]:
    """Witten-Bell count models of order 0 to ``order`` over token ids, as ``evaluation/floors.json`` keeps them.

    Trained on about ``limit`` tokens of the train split (every stratum's beginning), scored on the held-out split;
    BOS, EOS and what was erased are left out. Beside them the model that knows both neighbours (``beside``).
    Raises DataError where a split has no tokens.
    """
    model, sides = CountModel.fitting(shards.vocab_size, order), Beside(shards.vocab_size)
    tokens = sum(stratum.tokens for stratum in shards.strata("train"))
    for symbols, lengths in _documents(shards, "train", min(1.0, limit / max(1, tokens))):
        model.add(symbols, lengths)
        sides.add(symbols, lengths)
    held_out = list(_documents(shards, "held_out", 1.0))
    if not model.symbols or not held_out:
        raise DataError("there are no tokens to count", where="shards", fix="add documents, or raise corpus.held_out")
    rows = []
    for symbols, lengths in held_out:
        ends = np.cumsum(lengths)
        nats = np.insert(np.cumsum(model.witten_bell(symbols, lengths), axis=1), 0, 0.0, axis=1)
        rows.append(nats[:, ends] - nats[:, ends - lengths])
    totals, sizes = np.hstack(rows), np.concatenate([lengths for _, lengths in held_out])
    orders = {}
    for number, row in enumerate(totals):
        value, error = ratio(row, sizes)
        orders[str(number)] = {"nats_per_token": value, "standard_error": error}
    return {
        "format": FORMAT,
        "tokens": {"smoothing": "Witten-Bell, interpolated", "unit": "nats per token", "orders": orders},
        "beside": sides.score(held_out),
        "held_out": {"documents": len(sizes), "tokens": int(sizes.sum())},
        "training": {"tokens": model.symbols, "available_tokens": tokens},
    }


def _documents(shards: Any, split: str, share: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Tokens of documents in a row, and how many each has, a stratum at a time."""
    skipped = np.array([shards.specials[name] for name in ("bos", "eos", "pad") if name in shards.specials])
    for stratum in shards.strata(split):
        _, starts = shards.documents(split, stratum.stratum)
        last = max(1, int(np.ceil((len(starts) - 1) * share)))
        stored = shards.read(split, stratum.stratum, starts[:1], int(starts[last] - starts[0]))[0]
        kept = ~np.isin(stored, skipped)
        lengths = np.add.reduceat(kept.astype(np.int64), (starts[:last] - starts[0]).astype(np.int64))
        if kept.any():
            yield stored[kept], lengths[lengths > 0]
