"""Which runs go back to a checkpoint that saw a document: they learned from it, started from it, or had it choose what
they learn from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seedstock.ledger.chain import Chain


def descendants(chains: Mapping[str, Chain], exposed: Mapping[str, int]) -> list[dict[str, Any]]:
    """Runs whose parents, or the parents of these, saw something.

    ``exposed`` has for each run the first step (from 0) that saw it: what checkpoint N teaches are the steps before N.
    An entry has ``run``, the ``stage`` that asked (corpus, training), and the ``parent`` with its ``step``.
    """
    first, found = dict(exposed), list[dict[str, Any]]()
    known = {
        (name, body.get("stage", "training"), one["run"], one["step"])
        for name, chain in chains.items()
        for body in chain.of("parents")
        for one in body["runs"].values()
    }
    while True:
        new = sorted(one for one in known if first.get(one[2], one[3]) < one[3])
        if not new:
            return found
        known.difference_update(new)
        for name, stage, parent, step in new:
            found.append({"run": name, "stage": stage, "parent": parent, "step": step})
            first[name] = 0  # all of its checkpoints


def first_steps(seen: list[dict[str, Any]]) -> dict[str, int]:
    """The first step of each run among entries with ``run`` and ``steps``."""
    found: dict[str, int] = {}
    for entry in seen:
        if entry["steps"]:
            found[entry["run"]] = min(found.get(entry["run"], entry["steps"][0]), *entry["steps"])
    return found
