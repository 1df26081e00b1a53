"""Which steps and checkpoints of which runs saw a document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from seedstock.ledger.chain import Chain
from seedstock.provenance.sealed import sealed


def exposures(run_folder: Path, chain: Chain, ids: frozenset[bytes]) -> list[dict[str, Any]]:
    """What a run saw of documents, an entry for each that it trained on.

    ``steps`` are those up to the newest checkpoint that offered a part of the document; ``checkpoints`` the ones whose
    weights followed; ``resume_from`` is the step of the last checkpoint before (0: start anew).
    """
    import numpy as np

    from seedstock.inputs.plan import DataPlan
    from seedstock.inputs.shards import Shards

    stages = {entry.stage: entry.path for entry in sealed(run_folder, chain.records)[0].values()}
    record, saved = chain.last("plan"), {body["step"]: body for body in chain.of("checkpoint")}
    if record is None or not saved or not (stages.get("shards", run_folder) / "index.json").is_file():
        return []
    plan, shards = DataPlan.from_json(record["plan"]), Shards(stages["shards"])
    horizon = max(body["example"] for body in saved.values())
    found = []
    for one in sorted(ids):
        examples: set[int] = set()
        for split, stratum, start, tokens in shards.occurrences(one):
            if split == "train":
                # The token before is an input whose target is the document's first token.
                positions = np.arange(max(start - 1, 0), start + tokens)
                examples.update(example for _, example in plan.find(stratum, positions, horizon))
        if examples:
            first = min(examples)
            before = [step for step, body in saved.items() if body["example"] <= first]
            found.append(
                {
                    "document": one.hex(),
                    "examples": len(examples),
                    "steps": sorted({plan.step(example) for example in examples}),
                    "checkpoints": sorted(step for step, body in saved.items() if body["example"] > first),
                    "resume_from": max(before, default=0),
                }
            )
    return found
