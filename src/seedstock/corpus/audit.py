"""The exclusion audit: which groups of documents the steps left out more often than others.

``audit(folder, rules)`` counts over the written tables, a part at a time, and returns plain JSON values without text::

    version    1
    test       {ratio, alpha, fewest, comparisons, correction}: what a flag means (seedstock.corpus.disparity)
    steps      [{phase, step, reason, documents, kept_documents, bytes, kept_bytes}] in the order in which they look at
               the documents: what reached the step, and what it let pass. A rule is a step of its own; elsewhere
               reasons of one step are one.
    by         {language, script, dialect, domain, year, licence, source: [group]}, the largest group first; a dimension
               that nothing is known of is left out
    flags      [{by, name, step, documents, kept_documents, survival, overall, ratio, p, certain}]: groups below four
               fifths of the overall survival, of one step (its place in ``steps``) or of all (null); ``certain`` where
               the exact test, corrected for all comparisons, rejects chance; the certain ones first
    machine    {signal, above, by_domain, by_year: {name: {documents, measured, telling, above, interval}}}, where
               undeclared machine-generated text was measured

A group is ``{name, documents, bytes, kept_documents, kept_bytes, survival, ratio, steps}`` with ``steps`` a list of
[documents, kept documents, bytes, kept bytes] for each step; ``survival`` is the share of documents, ``ratio`` that
share by the overall one. An unknown value's name is empty; ``{"others": N}`` in the place of a name adds up the rest.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedstock.corpus.disparity import ALPHA, FEWEST, RATIO, holm, tail
from seedstock.corpus.groups_of_documents import dimensions
from seedstock.corpus.machine_share import MachineShare

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from seedstock.corpus.rules import Rule

VERSION = 1
DIMENSIONS = ("language", "script", "dialect", "domain", "year", "licence", "source")
GROUPS = 40  # of a dimension; the rest is added up
FOUR = ("documents", "kept_documents", "bytes", "kept_bytes")
PHASES = ("read", "filter", "dedup", "split", "decontaminate", "select", "edit")
Step = tuple[str, str, str]
Counts = tuple[int, int]


def audit(folder: Path, rules: Sequence[Rule] = (), selected: Sequence[str] = ()) -> dict[str, Any]:
    """The audit of a corpus folder (keys: see the module); ``selected`` names the steps of selection in their order."""
    named = {(rule.signal, rule.why) for rule in rules}
    counts: dict[str, Counter[tuple[str, Step | None]]] = {name: Counter() for name in DIMENSIONS}
    sizes: dict[str, Counter[tuple[str, Step | None]]] = {name: Counter() for name in DIMENSIONS}
    machine = MachineShare(folder)
    for part, table in _parts(folder):
        steps = _steps(table, named)
        columns = dimensions(folder, part, table)
        lengths = table["bytes"].to_numpy()
        for name, values in columns.items():
            for value, step, documents, size in _grouped(values, steps, lengths):
                counts[name][value, step] += documents
                sizes[name][value, step] += size
        machine.add(part, columns, table)
    order = _ordered({step for _, step in counts["source"] if step}, rules, selected)
    by = {name: _groups(counts[name], sizes[name], order) for name in DIMENSIONS}
    by = {name: groups for name, groups in by.items() if any(group["name"] for group in groups)}
    total = _groups(_together(counts["source"]), _together(sizes["source"]), order)
    steps_ = [
        {**dict(zip(("phase", "step", "reason"), step, strict=True)), **dict(zip(FOUR, row, strict=True))}
        for step, row in zip(order, total[0]["steps"] if total else [], strict=False)
    ]
    flags, comparisons = _flags(by, total, order)
    return {
        "version": VERSION,
        "test": {
            "ratio": RATIO,
            "alpha": ALPHA,
            "fewest": FEWEST,
            "comparisons": comparisons,
            "correction": "Holm",
        },
        "steps": steps_,
        "by": by,
        "flags": flags,
        **machine.result(),
    }


def _parts(folder: Path) -> Iterator[tuple[str, pa.Table]]:
    from seedstock.corpus import summary

    yield from zip(summary.parts(folder), summary.rows(folder, "source", "domain", "bytes", "meta"), strict=True)


def _steps(table: pa.Table, named: set[tuple[str, str]]) -> tuple[list[Step | None], np.ndarray]:
    """(what dropped a row or None, in no order; each row's place in that list)."""
    import pyarrow.compute as pc

    names = [pc.fill_null(table[name], "").combine_chunks() for name in ("decision", "phase", "step", "reason")]
    keys = pc.binary_join_element_wise(*names, "\0").dictionary_encode()
    known: list[Step | None] = []
    for text in keys.dictionary.to_pylist():
        decision, phase, step, reason = text.split("\0", 3)
        own = (phase, step, reason if phase == "filter" and (step, reason) in named else "")
        known.append(own if decision == "dropped" else None)
    return known, keys.indices.to_numpy()


def _grouped(
    values: Sequence[str], steps: tuple[list[Step | None], np.ndarray], sizes: np.ndarray
) -> Iterator[tuple[str, Step | None, int, int]]:
    """(value, step, documents, bytes) of every pair that occurs."""
    import numpy as np
    import pyarrow as pa

    names, step = steps
    keys = pa.array(values, pa.string()).dictionary_encode()
    at = keys.indices.to_numpy().astype(np.int64) * len(names) + step
    documents = np.bincount(at)
    bytes_ = np.zeros(len(documents), np.int64)
    np.add.at(bytes_, at, sizes)
    for code in np.flatnonzero(documents).tolist():
        value, number = divmod(code, len(names))
        yield keys.dictionary[value].as_py(), names[number], int(documents[code]), int(bytes_[code])


def _ordered(found: set[Step], rules: Sequence[Rule], selected: Sequence[str]) -> list[Step]:
    """Steps in the order in which they look at documents; those of one dedup look at the same ones."""
    of_rule: dict[tuple[str, str], int] = {}
    for number, rule in enumerate(rules):
        of_rule.setdefault((rule.signal, rule.why), number)
    of_selection = {name: number for number, name in enumerate(selected)}

    def place(step: Step) -> tuple[int, int, Step]:
        phase, name, reason = step
        inside = of_rule.get((name, reason), -1) if phase == "filter" else of_selection.get(name, 0)
        return (PHASES.index(phase) if phase in PHASES else len(PHASES), inside, step)

    return sorted(found, key=place)


def _together(counts: Counter[tuple[str, Step | None]]) -> Counter[tuple[str, Step | None]]:
    found: Counter[tuple[str, Step | None]] = Counter()
    for (_, step), number in counts.items():
        found["all", step] += number
    return found


def _groups(
    counts: Counter[tuple[str, Step | None]], sizes: Counter[tuple[str, Step | None]], order: Sequence[Step]
) -> list[dict[str, Any]]:
    by: dict[str, dict[Step | None, Counts]] = defaultdict(dict)
    for (name, step), documents in counts.items():
        by[name][step] = (documents, sizes[name, step])
    rows: list[tuple[Any, dict[Step | None, Counts]]] = sorted(
        by.items(), key=lambda item: (-sum(one for one, _ in item[1].values()), item[0])
    )
    if len(rows) > GROUPS:
        rest: dict[Step | None, Counts] = {}
        for _, own in rows[GROUPS:]:
            for step, (documents, size) in own.items():
                before = rest.get(step, (0, 0))
                rest[step] = (before[0] + documents, before[1] + size)
        rows = [*rows[:GROUPS], ({"others": len(rows) - GROUPS}, rest)]
    overall = _survival([own for _, own in rows])
    return [_group(name, own, order, overall) for name, own in rows]


def _survival(groups: Sequence[dict[Step | None, Counts]]) -> float:
    read = sum(documents for own in groups for documents, _ in own.values())
    return sum(own.get(None, (0, 0))[0] for own in groups) / read if read else 0.0


def _group(name: Any, own: dict[Step | None, Counts], order: Sequence[Step], overall: float) -> dict[str, Any]:
    documents, size = (sum(pair[about] for pair in own.values()) for about in (0, 1))
    kept = own.get(None, (0, 0))
    steps, left = [], (documents, size)
    for step in order:
        gone = own.get(step, (0, 0))
        after = (left[0] - gone[0], left[1] - gone[1])
        steps.append([left[0], after[0], left[1], after[1]])
        left = after
    survival = kept[0] / documents if documents else 0.0
    return {
        "name": name,
        "documents": documents,
        "bytes": size,
        "kept_documents": kept[0],
        "kept_bytes": kept[1],
        "survival": survival,
        "ratio": survival / overall if overall else 1.0,
        "steps": steps,
    }


def _flags(
    by: dict[str, list[dict[str, Any]]], total: list[dict[str, Any]], order: Sequence[Step]
) -> tuple[list[dict[str, Any]], int]:
    """Groups below four fifths of the overall survival, with the corrected test; and the number of comparisons."""
    if not total:
        return [], 0
    whole = total[0]
    places: list[tuple[int | None, int, int]] = [(None, whole["documents"], whole["kept_documents"])]
    places += [(at, row[0], row[1]) for at, row in enumerate(whole["steps"])]
    found, values = [], []
    for dimension, groups in by.items():
        for group in groups if len(groups) > 1 else []:
            if isinstance(group["name"], dict):
                continue
            for step, reached, passed in places:
                own = group["steps"][step] if step is not None else [group["documents"], group["kept_documents"]]
                if not own[0] or not 0 < passed < reached or own[0] == reached:
                    continue
                if dimension == "licence" and step is not None and order[step][1] == "licence":
                    continue  # that is what the step is for
                ratio = (own[1] / own[0]) / (passed / reached)
                tested = own[0] >= FEWEST
                found.append(
                    {
                        "by": dimension,
                        "name": group["name"],
                        "step": step,
                        "documents": own[0],
                        "kept_documents": own[1],
                        "survival": own[1] / own[0],
                        "overall": passed / reached,
                        "ratio": ratio,
                        "p": None,
                        "tested": tested,
                    }
                )
                if tested:
                    values.append(tail(own[1], own[0], passed, reached))
    corrected = iter(holm(values))
    flags = []
    for flag in found:
        if flag.pop("tested"):
            flag["p"] = float(f"{next(corrected):.3g}")
        if flag["ratio"] < RATIO:
            flags.append({**flag, "certain": flag["p"] is not None and flag["p"] < ALPHA})
    flags.sort(key=_weight)
    return flags, len(values)


def _weight(flag: dict[str, Any]) -> tuple[Any, ...]:
    """Sorts flags: the certain ones first, then by how many documents more would have stayed at the overall rate."""
    lost = flag["documents"] * flag["overall"] - flag["kept_documents"]
    step = -1 if flag["step"] is None else flag["step"]
    return not flag["certain"], -lost, DIMENSIONS.index(flag["by"]), flag["name"], step
