"""Reads what a run recorded and lets every check look at its part of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from seedstock.errors import DataError, SeedstockError
from seedstock.evaluation import events
from seedstock.evaluation.doctor import collapse, data, loss, tags
from seedstock.evaluation.doctor.finding import LEVELS, Finding
from seedstock.ledger.chain import Chain
from seedstock.ledger.files import read_json


def doctor(run_folder: Path | str) -> list[Finding]:
    """What is wrong with a run, the worst first; every check that has what it needs says something or keeps quiet.

    Reads ``events.jsonl``, ``evaluation/scores.json`` and ``floors.json``, and through the chain the run's corpus and
    shards. Raises DataError where the folder holds no training at all.
    """
    folder = Path(run_folder)
    recorded = events.read(folder / "events.jsonl", "expect", "step", "validation", "not_finite")
    steps = events.by_step(recorded["step"])
    if not steps and not recorded["not_finite"]:
        raise DataError(
            "nothing was trained yet: events.jsonl has no steps", where=folder, fix="`seedstock train` comes first"
        )
    scores = _optional(folder / "evaluation" / "scores.json")
    floors = _optional(folder / "evaluation" / "floors.json")
    checks = events.by_step(recorded["validation"])
    found = [
        *(loss.stopped(event) for event in recorded["not_finite"]),
        *_of_loss(steps, recorded["expect"]),
        *_of_evaluation(steps, checks, scores, floors),
        *_of_data(steps, scores, *_stages(folder)),
    ]
    return sorted((one for one in found if one is not None), key=lambda one: LEVELS.index(one.level))


def _of_loss(steps: list[dict[str, Any]], expected: list[dict[str, Any]]) -> Iterator[Finding | None]:
    losses = events.column(steps, "loss")
    first = expected[-1]["first"] if expected else {}  # nothing where no one can say what a loss begins at
    if first and steps and steps[0]["step"] == 1 and np.isfinite(losses[0]):
        # An objective may know what some of its losses begin at, and not the others.
        found = float(_sum_of(steps[:1], first)[0])
        yield loss.first_loss(found, float(sum(first.values())), float(expected[-1]["tolerance"]))
    thrown = loss.thrown_off(_sum_of(steps, first)) if first and steps and steps[0]["step"] == 1 else None
    yield thrown
    # Down from where it was thrown to is no progress, and says nothing of the pace.
    pace = () if thrown else (loss.falling, loss.rate_too_low)
    for check in (loss.not_finite, loss.diverged, loss.spikes, *pace):
        yield check(losses)
    yield loss.rate_too_high(losses, events.column(steps, "learning_rate"))
    yield loss.gradient_norm(events.column(steps, "grad_norm"))
    yield tags.balance(events.column(steps, "good"), events.column(steps, "bad"))


def _sum_of(steps: list[dict[str, Any]], names: dict[str, float]) -> np.ndarray:
    """By step, the losses that ``names`` tells the beginning of, where each is on record; else the whole loss."""
    parts = [f"loss.{name}" for name in names]
    if not all(part in steps[0] for part in parts):
        return events.column(steps, "loss")
    return np.sum([events.column(steps, part) for part in parts], axis=0)


def _of_evaluation(
    steps: list[dict[str, Any]], checks: list[dict[str, Any]], scores: Any, floors: Any
) -> Iterator[Finding | None]:
    bits = events.column(checks, "bits_per_byte")
    yield data.gap(bits if np.isfinite(bits).any() else events.column(checks, "loss"))
    if not scores:
        return
    yield from collapse.collapsed(scores.get("expected", {}), _means(scores), floors)
    held_out = scores["held_out"]
    nats = events.column(steps, "nats")  # where a loss holds more than the text's own, or a part of it
    course = nats if np.isfinite(nats).any() else events.column(steps, "loss")
    last = course[-max(5, len(steps) // 10) :]
    if held_out["nats_per_token"] is not None and np.isfinite(last).any():
        yield data.train_gap(float(np.nanmean(last)), held_out["nats_per_token"])
    if floors and "bytes" in floors and held_out["bits_per_byte"] is not None:
        if held_out["bytes"] == floors["held_out"]["bytes"]:
            orders = {int(order): entry["bits_per_byte"] for order, entry in floors["bytes"]["orders"].items()}
            yield data.floor_reached(held_out["bits_per_byte"], orders)
        else:
            evidence = f"{held_out['bytes']:,} bytes were scored, {floors['held_out']['bytes']:,} by the count models"
            advice = "evaluate the whole split; a tokenizer of characters leaves out those that training text lacks"
            yield Finding("warning", "scores and floors are not of the same bytes", evidence, advice)


def _means(scores: dict[str, Any]) -> dict[str, float]:
    """The held-out losses and metrics of a model that does not predict the next token."""
    both = {**scores.get("metrics", {}), **scores.get("losses", {})}
    return {name: one["mean"] for name, one in both.items() if one["mean"] is not None}


def _of_data(steps: list[dict[str, Any]], scores: Any, corpus: Any, shards: Any) -> Iterator[Finding | None]:
    yield data.data_wait(events.column(steps, "waited"), events.column(steps, "seconds"))
    seen = float(np.nanmax(np.append(events.column(steps, "tokens"), 0.0)))
    if shards is not None and "fields" not in shards.index:  # items are counted, and what was seen is positions
        yield data.repeats(seen, sum(stratum.tokens for stratum in shards.strata("train")))
    if scores and scores.get("parameters") and (shards is None or "fields" not in shards.index):
        yield data.undertrained(seen, scores["parameters"])
    if corpus is not None:
        decisions = corpus.decisions()
        yield data.shared_clusters(decisions["cluster"].to_numpy(), decisions["split"].to_pylist())


def _optional(path: Path) -> Any:
    return read_json(path) if path.is_file() else None


def _stages(folder: Path) -> tuple[Any, Any]:
    """The run's corpus and shards, each None where it is not there (any more): that is for ``verify`` to say."""
    from seedstock.corpus.reader import Corpus
    from seedstock.inputs.shards import Shards

    places: dict[str, Path] = {}
    path = folder / "ledger" / "chain.jsonl"
    if path.is_file():
        for record in Chain(path).records:
            if record["kind"] == "stage":
                places[record["body"]["stage"]] = folder.parent / record["body"]["folder"]
    found: list[Any] = []
    for stage, reader in (("corpus", Corpus), ("shards", Shards.open)):
        try:
            found.append(reader(places[stage]))
        except (KeyError, SeedstockError):
            found.append(None)
    return found[0], found[1]
