"""Every figure that the papers print, taken from a run's records: plain JSON values, one file a subject."""

from __future__ import annotations

from typing import Any

from seedstock.release.facts import data, evaluation, model, training
from seedstock.release.records import Records

FORMAT = 1


def collect(records: Records) -> dict[str, Any]:
    """All facts of a run. Raises DataError while a stage is missing."""
    return {
        "format": FORMAT,
        "name": records.recipe["name"],
        "head": records.chain.head,
        "records": len(records.chain.records),
        "data": data.collect(records),
        "input": model.input_of(records),
        "tokenizer": model.tokenizer(records),
        "model": model.architecture(records),
        "objective": model.objective(records),
        "training": training.collect(records),
        "evaluation": evaluation.collect(records),
    }
