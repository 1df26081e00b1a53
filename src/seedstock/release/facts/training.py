"""How the weights were trained, what that took, and an estimate of the energy with its basis."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from seedstock.ledger.files import read_json
from seedstock.planning import energy as energies
from seedstock.release.facts.model import architecture
from seedstock.release.records import Records

SETTINGS = ("optimizer", "schedule", "clip", "ema")


def collect(records: Records) -> dict[str, Any]:
    """Figures of the newest checkpoint's ancestry: its state, the attempts, and the run's events."""
    checkpoint, recipe = records.checkpoint, records.recipe["training"]
    state = read_json(checkpoint["path"] / "state.json")
    attempts = list(records.chain.of("attempt"))
    settled = attempts[-1]["settled"] if attempts else {}
    time = _time(records, checkpoint["step"])
    flops = _flops(records, state)
    return {
        "step": checkpoint["step"],
        "examples": checkpoint["example"],
        "tokens": state["tokens"],
        "digest": checkpoint["digest"],
        "starts": _starts(records),
        "locked": list(records.recipe["training"].get("locked") or ()),
        "chosen": _chosen(records, checkpoint["step"]),
        "attempts": len(attempts),
        "seed": records.recipe.get("seed", 1),
        **{name: recipe[name] for name in SETTINGS if recipe.get(name) is not None},
        "settled": settled,
        "versions": state.get("versions") or (attempts[-1]["versions"] if attempts else {}),
        "checkpoints": [body["step"] for body in records.chain.of("checkpoint")],
        "flops": flops,
        "time": time,
        "mfu": (records.chain.last("trained") or {}).get("mfu"),
        "flops_per_second": flops / time["seconds"] if time["seconds"] else None,
        "loss": _loss(records, checkpoint["step"]),
        "energy": _energy(records, time["seconds"]),
    }


def _flops(records: Records, state: dict[str, Any]) -> float:
    """The model's work: tokens at the context's length; where lengths changed, what was counted step by step."""
    if len({phase["length"] for phase in records.recipe["training"].get("phases", ())}) > 1:
        return float(state["flops"])
    return float(architecture(records)["flops_a_token"]["training"] * state["tokens"])


def _starts(records: Records) -> list[dict[str, Any]]:
    """The checkpoints of other runs that training began from: run, step and digest, and the part of the network that
    each gave (None: all of it); none for fresh weights."""
    asked = records.recipe["training"].get("start") or {}
    named = {None: asked} if isinstance(asked, str) else asked
    runs: dict[str, Any] = {}
    for body in records.chain.of("parents"):
        runs |= body["runs"]
    return [{"part": part, **runs[name]} for part, name in named.items() if name in runs]


def _chosen(records: Records, step: int) -> dict[str, Any] | None:
    """How the checkpoint was chosen on validation: by which number, among how many; None where it is the newest."""
    body = records.chain.last("chosen")
    if body is None or body["step"] != step:
        return None
    return {"by": body["by"], "value": body[body["by"]], "among": len(body["among"])}


def _events(records: Records, kind: str, last: int) -> list[dict[str, Any]]:
    """One event a step up to ``last``, the latest: what a cut-off attempt wrote is overwritten by the next."""
    import json

    path = records.folder / "events.jsonl"
    found: dict[int, dict[str, Any]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            event = json.loads(line)
        except ValueError:
            continue  # a line that a crash cut short
        if isinstance(event, dict) and event.get("event") == kind and event.get("step", 0) <= last:
            found[event.get("step", 0)] = event
    return [found[step] for step in sorted(found)]


def _time(records: Records, last: int) -> dict[str, Any]:
    """Seconds in training steps, and tokens a second in them; validation, samples and checkpoints are left out."""
    steps = _events(records, "step", last)
    seconds = sum(event.get("seconds", 0.0) for event in steps)
    tokens = steps[-1]["tokens"] if steps else 0
    return {"seconds": seconds, "tokens_per_second": tokens / seconds if seconds else None}


def _loss(records: Records, last: int) -> dict[str, Any]:
    """Training losses at the beginning and at the end, and the last validation, as the events have them."""
    steps, checks = _events(records, "step", last), _events(records, "validation", last)
    shown = {"first": steps[0]["loss"], "last": steps[-1]["loss"], "last_step": steps[-1]["step"]} if steps else {}
    numbers = {name: value for name, value in checks[-1].items() if name != "time"} if checks else None
    return {**shown, "validation": numbers}


def _energy(records: Records, seconds: float) -> dict[str, Any] | None:
    """The last attempt's energy as the run recorded it; else, or where a person gives a power, time times power."""
    given = records.config.energy
    found, whole = (records.chain.last("trained") or {}).get("energy"), len(list(records.chain.of("attempt"))) < 2
    if seconds and (found is None or (given.watts and found["method"] == "estimated")):
        watts = (given.watts, given.watts, given.watts) if given.watts else None
        found, whole = asdict(energies.estimate(seconds, watts)), True
    if found is None:
        return None
    found = {**found, "covers": "all of the training" if whole else "the last attempt alone"}
    overhead = given.overhead or 1.0
    found = {**found, **{name: found[name] * overhead for name in ("watt_hours", "low", "high")}, "overhead": overhead}
    grid = given.grams_co2_per_kwh or found["grid_grams_a_kwh"]
    return {**found, "grid_grams_a_kwh": grid, "co2_grams": found["watt_hours"] / 1000 * grid}
