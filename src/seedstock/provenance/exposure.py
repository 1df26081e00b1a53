"""Which steps and checkpoints of a run saw documents, and from where it can be resumed without them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seedstock.ledger.chain import Chain
from seedstock.provenance.sealed import sealed


def exposures(run_folder: Path, chain: Chain, ids: frozenset[bytes]) -> list[dict[str, Any]]:
    """What a run saw of documents, an entry for each that it trained on.

    ``steps`` (from 0) are those that read a part of the document, as far as checkpoints are on record; ``checkpoints``
    the ones that learnt from it and are still there; ``resume_from`` the last one before (0: start anew).
    """
    from seedstock.inputs.plan import DataPlan
    from seedstock.inputs.shards import Shards
    from seedstock.provenance.trace import trace_document

    stages = {entry.stage: entry.path for entry in sealed(run_folder, chain.records)[0].values()}
    record, saved = chain.last("plan"), {body["step"]: body["folder"] for body in chain.of("checkpoint")}
    if record is None or not saved or not (stages.get("shards", run_folder) / "index.json").is_file():
        return []
    reach = record.get("reach", 1)  # stored tokens that the objective reads beyond a window
    plan, shards = DataPlan.from_json(record["plan"]), Shards.open(stages["shards"])
    there = [step for step, folder in saved.items() if (run_folder / folder).is_dir()]
    found = []
    for one in sorted(ids):
        if not shards.occurrences(one):
            continue
        traced = trace_document(
            one,
            plan,
            shards,
            steps=max(saved),
            checkpoints=there,
            raw_length=lambda length: length + reach,
            partners=record.get("partners", 0),
        )
        if traced.steps:
            before = [step for step in there if step <= traced.steps[0]]
            seen = {"document": one.hex(), "steps": traced.steps, "exposures": len(traced.exposures)}
            found.append(seen | {"checkpoints": traced.checkpoints, "resume_from": max(before, default=0)})
    return found
