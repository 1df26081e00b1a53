"""An objective's own losses on held-out windows: the score of a model that does not predict the next token."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from seedstock.evaluation.tally import LN2, ratio
from seedstock.inputs.keys import Keys, derive

FORMAT = 1


@torch.inference_mode()
def score(nets: Any, objective: Any, windows: Any, *, batch: int, draws: int = 1) -> dict[str, Any]:
    """Means of losses and metrics by name over ``windows`` (an ``inputs.held_out.HeldOut``), ``batch`` at a time.

    Every loss is a sum over its terms in all batches, divided by their number. What the objective draws is keyed by
    the window's number under the windows' seed, so that two models are scored on the same questions. With ``draws``
    every window is corrupted that often, each time anew. The standard error is over batches, of a ratio estimator
    (Cochran 1977, section 6.4). Nets are used without dropout.
    """
    device = next(nets["network"].parameters()).device
    sums: dict[str, list[tuple[float, float]]] = {}
    metrics: dict[str, list[tuple[float, float]]] = {}
    training = nets.training
    nets.eval()
    try:
        for arrays in windows.batches(batch):
            # What ``prepare`` returns of other kinds, the record of the batch say, stays on the host.
            given = {
                name: torch.from_numpy(array).to(device)
                for name, array in arrays.items()
                if isinstance(array, np.ndarray) and name != "digests"
            }
            for draw in range(draws):
                seed = windows.seed if draw == 0 else int(derive(windows.seed, "draw", draw)[0] >> np.uint64(1))
                made = objective.corrupt(given, Keys(seed, arrays["examples"]))
                counts = {name: float(count) for name, count in objective.counts(made).items()}
                inputs = objective.inputs(nets, made)
                backbone = nets["network"].backbone
                output = [backbone(**one) for one in inputs] if isinstance(inputs, list) else backbone(**inputs)
                losses, extra = objective.loss(nets, output, made)
                first = next(iter(counts.values()))
                for name, total in losses.items():
                    _add(sums, name, draw, float(total), counts[name])
                for name, total in extra.items():
                    _add(metrics, name, draw, float(total), counts.get(name, first))
    finally:
        nets.train(training)
    return {
        "losses": {name: _mean(rows) for name, rows in sums.items()},
        "metrics": {name: _mean(rows) for name, rows in metrics.items()},
        "windows": len(windows.numbers),
        "draws": draws,
    }


def floors(objective: Any, windows: Any, *, batch: int) -> dict[str, float]:
    """The objective's own floors (``Objective.floors``) over the held-out items, corrupted as they are scored."""

    def corrupted() -> Iterator[dict[str, Any]]:
        for arrays in windows.batches(batch):
            given = {name: torch.from_numpy(array) for name, array in arrays.items() if name != "digests"}
            yield objective.corrupt(given, Keys(windows.seed, arrays["examples"]))

    return objective.floors(corrupted())


def _add(rows: dict[str, list[tuple[float, float]]], name: str, draw: int, total: float, count: float) -> None:
    """A batch is one row, however often it was drawn."""
    known = rows.setdefault(name, [])
    if draw:
        total, count = total + known[-1][0], count + known[-1][1]
        known.pop()
    known.append((total, count))


def _mean(rows: list[tuple[float, float]]) -> dict[str, Any]:
    totals, counts = np.array(rows, np.float64).T
    mean, error = ratio(totals, counts)
    return {"mean": mean, "standard_error": error, "terms": int(counts.sum())}


def plain(found: dict[str, Any]) -> dict[str, Any]:
    """The numbers of ``score`` as a validation event holds them: ``loss`` is the sum of the means."""
    losses = {name: one["mean"] for name, one in found["losses"].items()}
    known = [value for value in losses.values() if value is not None]
    metrics = {name: one["mean"] for name, one in found["metrics"].items()}
    own = {f"loss_{name}": value for name, value in losses.items()} if len(losses) > 1 else {}
    return {"loss": sum(known) if known else None, **own, **metrics}


def record(found: dict[str, Any], nets: Any, objective: Any, spec: Any, floors: dict[str, Any]) -> dict[str, Any]:
    """What ``evaluation/scores.json`` holds of such a model."""
    expected = objective.expect(spec)
    return {
        "format": FORMAT,
        "parameters": sum(parameter.numel() for parameter in nets["network"].parameters()),
        "objective": type(objective).__name__,
        "held_out": {"bits_per_byte": None, "nats_per_token": None, **plain(found), "windows": found["windows"]},
        "losses": found["losses"],
        "metrics": found["metrics"],
        "expected": {"first": expected.first, "floor": expected.floor, "collapse": expected.collapse}
        | {"collapse_at": expected.collapse_at, "collapse_below": expected.collapse_below},
        "floors": floors,
        "standard_error": "over batches of windows, of a ratio estimator (Cochran 1977, section 6.4)",
    }


def bound(found: dict[str, Any], objective: Any, shards: Any) -> dict[str, Any] | None:
    """Bits per byte of the held-out text at most, where the objective has such a loss (``Objective.bounds``).

    A Monte-Carlo estimate over ``draws`` corruptions of every window; the tokens of the split stand for its bytes.
    """
    if objective.bounds is None or found["losses"][objective.bounds]["mean"] is None:
        return None
    one, strata = found["losses"][objective.bounds], shards.strata("held_out")
    tokens = sum(stratum.tokens - stratum.documents for stratum in strata)  # BOS is given, EOS is predicted
    scale = tokens / sum(stratum.bytes for stratum in strata) / LN2
    error = one["standard_error"]
    return {
        "bits_per_byte_at_most": one["mean"] * scale,
        "standard_error": error and error * scale,
        "nats_per_token_at_most": one["mean"],
        "draws": found["draws"],
    }
