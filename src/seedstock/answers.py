"""Questions about a run, each answered with plain JSON values: the Python side of trace, doctor, verify and forget."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

from seedstock.errors import DataError
from seedstock.runs import Run

Answer = dict[str, Any]


def _reading(run: Run) -> dict[str, Any]:
    """How far the run's objective reads from each window's start, and how many partners' windows it reads besides."""
    record = run.chain.last("plan") or {}
    reach = record.get("reach", 1)
    return {"raw_length": lambda length: length + reach, "partners": record.get("partners", 0)}


def step(run: Run, number: int) -> Answer:
    """The documents that training step ``number`` (from 1) reads, with their spans.

    ``on_record`` says whether a checkpoint has that step behind it: a step that failed, or is yet to come, has not.
    ``skipped`` says why the guard kept that step from the weights, where it did.
    Raises DataError where the run has no such step.
    """
    from seedstock.provenance.trace import trace_step

    steps = max(run.steps_done, run.recipe.training.steps or 0)
    if not 1 <= number <= steps:
        what = f"step {number} is not one of the {steps:,} steps of this run"
        raise DataError(what, where=run.folder, fix="steps count from 1")
    seen = trace_step(number - 1, run.plan, run.shards, corpus=run.corpus, **_reading(run))
    known = number <= run.steps_done
    skipped = _skipped(run).get(number)
    about = {"on_record": known, "skipped": skipped, "unit": run.recipe.input.unit}
    return {"question": "step", "step": number, **about, "spans": [_record(span) for span in seen]}


def names(run: Run, number: int) -> list[str]:
    """The ids of the documents that training step ``number`` (from 1) reads."""
    from seedstock.provenance.trace import trace_step

    return sorted({span.document for span in trace_step(number - 1, run.plan, run.shards, **_reading(run))})


def _skipped(run: Run) -> dict[int, str]:
    """The steps that the guard kept from the weights, and why: each by itself, or left out after a rewind."""
    found = {body["step"]: body["why"] for body in run.chain.of("skipped")}
    for body in run.chain.of("rewound"):
        if "without" in body:
            first, last = body["without"]
            why = f"left out after a rewind to step {body['step']:,}: {body['why']}"
            found |= dict.fromkeys(range(first, last + 1), why)
    return found


def documents(run: Run, *, document: str | None = None, url: str | None = None) -> Answer:
    """Where documents lie, the steps that read them and the checkpoints that learnt them; and why, where they do not.

    A document that was dropped as a duplicate is answered for with the one that was kept in its place.
    """
    from seedstock.provenance.descent import descendants
    from seedstock.provenance.journal import chains
    from seedstock.provenance.origin import coarse
    from seedstock.provenance.trace import trace_document

    if document is not None:
        ids = [_id(document)]
    else:
        ids = list(dict.fromkeys([*run.corpus.find(url=url), *run.corpus.find(locator=url)]))
    found, skipped = [], _skipped(run)
    for identity in ids:
        known = run.corpus.document(identity)
        if known is None:
            continue
        entry: Answer = {
            "document": identity.hex(),
            **{key: known[key] for key in ("source", "locator", "url", "licence")},
            "decision": {key: known["decision"][key] for key in ("decision", "phase", "step", "reason", "split")},
            "provenance": coarse(known["meta"]),
            "occurrences": [],
            "steps": [],
            "skipped": [],
            "checkpoints": [],
            "descendants": [],
            "kept_instead": _kept_instead(run, known),
        }
        if run.shards.occurrences(identity):
            traced = trace_document(
                identity,
                run.plan,
                run.shards,
                steps=run.steps_done,
                checkpoints=run.checkpoints,
                **_reading(run),
            )
            entry["occurrences"] = [asdict(place) for place in traced.occurrences]
            learned = [step for step in traced.steps if step + 1 not in skipped]
            entry["steps"] = [step + 1 for step in learned]
            entry["skipped"] = [step + 1 for step in traced.steps if step + 1 in skipped]
            entry["checkpoints"] = [step for step in traced.checkpoints if learned and step > learned[0]]
            entry["descendants"] = descendants(chains(run.runs), {run.name: learned[0]} if learned else {})
        found.append(entry)
    if not found:
        raise DataError(
            "no document of this corpus has that id or URL",
            where=document or url,
            fix="`seedstock trace --text` finds ids",
        )
    return {"question": "document", "unit": run.recipe.input.unit, "documents": found}


def text(run: Run, wanted: str) -> Answer:
    """The places in the training and held-out shards where a text stands, exactly."""
    from seedstock.provenance.trace import trace_text

    matches = trace_text(wanted, run.shards, run.tokenizer, corpus=run.corpus)
    return {"question": "text", "text": wanted, "matches": [_record(match) for match in matches]}


def nearest(run: Run, passage: str, k: int = 5) -> list[Answer]:
    """The training documents nearest to a passage, with their licences and the steps that read them."""
    import numpy as np

    from seedstock.provenance.nearest import nearest as near

    examples = sum(run.plan.examples(run.steps_done - 1)) if run.steps_done else 0

    def steps(stratum: int, start: int, stop: int) -> list[int]:
        found = run.plan.find(stratum, np.arange(start, stop), examples)
        return sorted({run.plan.step(example) + 1 for _, example in found})

    return [one.record() for one in near(passage, run.corpus, run.shards, run.tokenizer, k, steps)]


def doctor(run: Run) -> list[Answer]:
    """Is this run healthy, and if not, why: the worst first."""
    from seedstock.evaluation.doctor import doctor as diagnose

    return [finding.record() for finding in diagnose(run.folder)]


def verify(run: Run, head: str | None = None) -> Answer:
    """Every digest and every chain: the problems, and what was checked.

    ``head`` is one that was noted earlier. Raises DataError where it is no digest.
    """
    from seedstock.provenance.verify import verify as check

    if head is not None and not re.fullmatch("[0-9a-fA-F]{64}", head):
        raise DataError("a chain's head is 64 hexadecimal digits", where=head, fix="copy it whole")
    found = check(run.folder, head and head.lower())
    return {
        "problems": [{"file": problem.file, "what": problem.what} for problem in found],
        "checked": found.checked,
        "closed": found.closed,
        "notes": found.notes,
        "head": found.head,
    }


def forget(run: Run, *, documents: list[str] | None = None, url: str | None = None, reason: str) -> Answer:
    """Erases documents everywhere and leaves tombstones; says which steps and checkpoints saw them."""
    from seedstock.provenance.forget import forget as erase

    with run.lock():
        found = erase(run.folder, [_id(document) for document in documents or []], url=url, reason=reason).record()
    for seen in found["seen"]:
        seen["steps"] = [step + 1 for step in seen["steps"]]  # people count steps from 1
    return found


def _kept_instead(run: Run, known: Answer) -> str | None:
    """The document that stands for a dropped duplicate."""
    if known["decision"]["phase"] != "dedup":
        return None
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    clusters = pq.read_table(run.corpus.folder / "clusters.parquet")
    own = clusters.filter(pc.equal(clusters["id"], pa.scalar(known["id"], clusters["id"].type)))
    ids = [id_ for id_ in own["stands_for" if "stands_for" in own.column_names else "id"].to_pylist() if id_]
    return ids[0].hex() if ids else None


def _record(found: Any) -> Answer:
    values = asdict(found)
    return {**{key: value for key, value in values.items() if key != "origin"}, **(values["origin"] or {})}


def _id(document: str) -> bytes:
    try:
        identity = bytes.fromhex(document)
    except ValueError:
        identity = b""
    if len(identity) != 16:
        raise DataError("a document's id is 32 hexadecimal digits", where=document, fix="copy it whole")
    return identity
