"""Has an objective collapsed: does it sit where nothing is learned, as the objective itself says where that is?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from seedstock.evaluation.doctor.finding import Finding

MARGIN = 0.01  # of the value: a loss must be that much below where it collapses, a metric that much above


def collapsed(expected: dict[str, Any], values: dict[str, float], floors: dict[str, Any] | None) -> Iterator[Finding]:
    """A finding for each loss and metric that the objective named in ``collapse_at`` and ``collapse_below``.

    ``values`` are the held-out means of losses and metrics by name, ``floors`` the count models over tokens, or what
    items come to without learning. Where the
    level is a floor that was not measured, or the value is not known, there is no finding.
    """
    levels = {name: _level(level, floors) for name, level in expected.get("collapse_at", {}).items()}
    for name, level in levels.items():
        if level is not None and values.get(name) is not None:
            yield _finding(name, values[name], level, values[name] > level * (1 - MARGIN), "below", expected)
    for name, level in expected.get("collapse_below", {}).items():
        if values.get(name) is not None:
            yield _finding(name, values[name], level, values[name] < level * (1 + MARGIN), "above", expected)


def _level(level: float | str, floors: dict[str, Any] | None) -> float | None:
    """The value, or that of the floor that is named."""
    if not isinstance(level, str):
        return float(level)
    if level in (floors or {}).get("items", {}):
        return floors["items"][level]  # type: ignore[index]
    orders = (floors or {}).get("tokens", {}).get("orders", {})
    return orders.get(level.removeprefix("order "), {}).get("nats_per_token")


def _finding(name: str, value: float, level: float, rings: bool, side: str, expected: dict[str, Any]) -> Finding:
    evidence = f"{name} {value:.4g} on held-out windows; it collapses at {level:.4g}, and healthy is {side} that"
    if not rings:
        return Finding("good", f"{name} has not collapsed", evidence)
    signs = expected.get("collapse") or "it says that nothing is learned"
    advice = f"{signs}; train for longer, lower the learning rate, or look at what the network is shown"
    return Finding("problem", f"{name} has collapsed, or not learned yet", evidence, advice)
