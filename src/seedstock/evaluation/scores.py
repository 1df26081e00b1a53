"""Scores of a network on the held-out split, with their errors, their noise, and the floors beside them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from seedstock.evaluation.bits_per_byte import Scored, score
from seedstock.evaluation.config import EvaluationConfig
from seedstock.evaluation.floors import best_order
from seedstock.ledger.files import atomic, write_json
from seedstock.progress import Reporter, Silent

FORMAT = 1
NOISE_BYTES = 20_000
COUNTED = "every token of text once; neither BOS nor EOS, nor codes of pictures"


def evaluate(
    network: Any,
    tokenizer: Any,
    shards: Any,
    config: EvaluationConfig | None = None,
    *,
    context: int,
    floors: dict[str, Any] | None = None,
    folder: Path | None = None,
    characters: bool = False,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Bits per byte on the held-out split, as ``evaluation/scores.json`` keeps it; written to ``folder`` if given.

    ``context`` is the model's, used where ``config`` has none; ``characters`` says that a token is a character, so that
    nats a token are nats a character. Beside ``scores.json`` stands ``documents.npy``: id, nats, tokens and bytes of
    each document, from which two models can be compared pair by pair. Raises DataError where the split is empty.
    """
    config, reporter, began = config or EvaluationConfig(), reporter or Silent(), time.monotonic()
    context = config.context or context
    stride = min(config.stride or context, context)
    found = score(
        *(network, shards, tokenizer),
        context=context,
        stride=stride,
        batch_tokens=config.batch_tokens,
        limit=config.limit,
        reporter=reporter,
    )
    figures = found.summary()
    written = sum(stratum.bytes for stratum in shards.strata("held_out"))  # what was erased later is among them
    result = {
        "format": FORMAT,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "held_out": {**figures, "available_bytes": figures["bytes"] if config.limit is None else written},
        "by": found.by(),
        "in_context": found.in_context(),
        "windows": {"context": context, "stride": stride, "counted": COUNTED},
        "standard_error": "over documents, of a ratio estimator (Cochran 1977, section 6.4)",
        "noise": noise(network, tokenizer, shards, context, config.batch_tokens),
    }
    if codes := found.codes():
        result["codes"] = codes
    if characters:
        result["held_out"]["nats_per_character"] = result["held_out"]["nats_per_token"]
    if floors:
        result["floors"] = beside(result["held_out"], floors)
    result["seconds"] = round(time.monotonic() - began, 2)
    if folder is not None:
        _write_documents(Path(folder) / "documents.npy", found)
        write_json(Path(folder) / "scores.json", result)
    return result


def noise(network: Any, tokenizer: Any, shards: Any, context: int, batch_tokens: int) -> dict[str, Any]:
    """How far the score moves when only the batches change: a sample of documents scored in batches and one by one.

    Kernels sum in another order for another batch size, so the two differ by rounding. A difference between two
    models that is not well above it says nothing.
    """
    together, alone = (
        score(network, shards, tokenizer, context=context, batch_tokens=size, limit=NOISE_BYTES)
        for size in (batch_tokens, 1)
    )
    one, other = together.bits_per_byte(), alone.bits_per_byte()
    return {
        "bits_per_byte": None if one is None or other is None else abs(one - other),
        "documents": len(together.nats),
        "bytes": int(together.bytes.sum()),
        "how": "the same documents scored in batches and one by one",
    }


def beside(held_out: dict[str, Any], floors: dict[str, Any]) -> dict[str, Any]:
    """The score beside the floors: the best order, and the highest order that the network beats without a gap.

    ``same_bytes`` says whether both were measured on equally many bytes; where not, they cannot be compared.
    """
    orders = {int(order): entry["bits_per_byte"] for order, entry in floors["bytes"]["orders"].items()}
    best, value = best_order(floors)
    beaten = -1
    for order in sorted(orders):
        if held_out["bits_per_byte"] is None or held_out["bits_per_byte"] >= orders[order]:
            break
        beaten = order
    return {
        "orders": {str(order): bits for order, bits in sorted(orders.items())},
        "best_order": best,
        "best": value,
        "beaten_order": beaten if beaten >= 0 else None,
        "beats_best": held_out["bits_per_byte"] is not None and held_out["bits_per_byte"] < value,
        "same_bytes": held_out["bytes"] == floors["held_out"]["bytes"],
        "xz": floors.get("xz", {}),
    }


def _write_documents(path: Path, found: Scored) -> None:
    rows = np.zeros(len(found.nats), [("id", "u1", (16,)), ("tokens", "<u4"), ("bytes", "<u4"), ("nats", "<f8")])
    rows["id"] = np.frombuffer(b"".join(found.documents.ids), np.uint8).reshape(-1, 16)
    for name in ("tokens", "bytes", "nats"):
        rows[name] = getattr(found, name)
    with atomic(path) as file:
        np.save(file, rows, allow_pickle=False)
