"""What nobody has said: fields that only a person can fill, listed with where to say them."""

from __future__ import annotations

from typing import Any

from seedstock.release.config import Answers, Energy, ReleaseConfig
from seedstock.release.records import Records

OPTIONAL = {"title", "details"}
REGISTER = {
    "description": "What the source is.",
    "url": "Where it can be found.",
    "licence": "Its licence, where documents do not declare their own.",
    "acquisition": "How the data was obtained (public data set, licensed, crawled, users, generated, own).",
    "period": "When it was collected.",
    "personal_data": "Whether it holds personal data, and what was done about it.",
}


def missing(records: Records, trained: list[dict[str, Any]]) -> list[dict[str, str]]:
    """``[{field, question}]``: the recipe's keys that are empty. ``trained`` are the sources of the facts.

    Nothing is inferred: an unanswered yes-or-no question is neither.
    """
    found = []
    for prefix, config in (("release", records.config), ("release.data", records.config.data)):
        found += [{"field": f"{prefix}.{name}", "question": text} for name, text in _empty(config)]
    if records.config.energy.watts is None and _estimated(records):
        text = Energy.model_fields["watts"].description or ""
        found.append({"field": "release.energy.watts", "question": text})
    for number, source in enumerate(trained):
        lacking = [
            name for name in REGISTER if not source.get(name) and not (name == "licence" and source["by_document"])
        ]
        found += [
            {"field": f"sources[{number}].{name}", "question": f"{source['name']}: {REGISTER[name]}"}
            for name in lacking
        ]
    return found


def _estimated(records: Records) -> bool:
    """Whether the energy was not read from counters."""
    return ((records.chain.last("trained") or {}).get("energy") or {}).get("method") != "measured"


def _empty(config: ReleaseConfig | Answers) -> list[tuple[str, str]]:
    fields = type(config).model_fields
    unanswered = [name for name in fields if getattr(config, name) in (None, []) and name not in OPTIONAL]
    return [(name, fields[name].description or "") for name in unanswered]
