"""Scores of the released weights with their floors beside them, as evaluation recorded them."""

from __future__ import annotations

from typing import Any

from seedstock.release.records import Records


def collect(records: Records) -> dict[str, Any] | None:
    """The figures of ``scores.json`` and ``floors.json``; None where the run was not evaluated."""
    scores, floors = records.evaluation("scores.json"), records.evaluation("floors.json")
    if scores is None:
        return None
    kept = (
        "held_out",
        "by",
        "in_context",
        "windows",
        "standard_error",
        "noise",
        "floors",
        "losses",
        "metrics",
        "expected",
    )
    found = {name: scores[name] for name in kept if name in scores}
    found["step"] = (records.chain.last("evaluation") or {}).get("step")
    judged = {"validation": scores.get("validation"), **(scores.get("test") or {})}
    found["judged"] = [{"set": name, **one} for name, one in judged.items() if one]
    found |= {name: scores[name] for name in ("probes", "retrieval", "captions") if scores.get(name)}
    if floors is not None and "items" in floors:
        found["item_floors"] = floors["items"]
    elif floors is not None and "tokens" in floors:
        found["token_counts"] = floors["tokens"]
    elif floors is not None:
        found["count_models"] = {**floors["bytes"], "trained_on": floors["training"], "held_out": floors["held_out"]}
        found["characters"] = floors.get("characters")
        found["xz"] = floors.get("xz")
    return found
