"""How the values that a policy's rules look at are distributed, with what each rule's bound cut off.

``histograms(folder, rules)`` streams the columns a part at a time and returns plain JSON values without text, one entry
for each column that a rule names, in the order of the rules::

    {column, type, scale, edges, read, kept, here, unknown, rules}

``type`` is "number" (``edges`` has one more entry than the counts; ``scale`` "linear" or "log") or "value" (``edges``
are the values themselves, the commonest first, and ``others`` counts the rest). ``read`` counts the documents that
have a value, ``kept`` those that stayed, ``here`` those that a rule on this column dropped, ``unknown`` those without.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

    from seedstock.corpus.rules import Rule

BINS = 48
VALUES = 12
COUNTS = ("read", "kept", "here")


def histograms(folder: Path, rules: Sequence[Rule]) -> list[dict[str, Any]]:
    """The histogram of every column that the rules of a policy look at (see the module)."""
    by_column: dict[str, list[Rule]] = {}
    for rule in rules:
        by_column.setdefault(rule.signal, []).append(rule)
    tables = _tables(folder, {column.partition(".")[0] for column in by_column})
    drawn: dict[str, dict[str, _Numbers | _Values]] = {}  # signal → column → what is counted
    for step, own in by_column.items():
        name, _, field = step.partition(".")
        if tables[name] and (kind := _type(tables[name][0], field)):
            number = kind.startswith(("int", "uint", "float", "double", "half"))
            drawn.setdefault(name, {})[field] = _Numbers(tables[name], field, step, own) if number else _Values(step)
    for name, columns in drawn.items():
        for path in tables[name]:
            _add(path, folder / "decisions" / path.name, columns)
    found = []
    for step, own in by_column.items():
        name, _, field = step.partition(".")
        if field in drawn.get(name, {}):
            listed = [rule.model_dump(mode="json") | {"reason": rule.why} for rule in own]
            found.append({"column": step, "rules": listed, **drawn[name][field].result()})
    return found


def _tables(folder: Path, names: set[str]) -> dict[str, list[Path]]:
    from seedstock.corpus import summary

    found = {name: [summary.signal_part(folder, name, part) for part in summary.parts(folder)] for name in names}
    return {name: [path for path in paths if path is not None] for name, paths in found.items()}


def _type(path: Path, field: str) -> str:
    import pyarrow.parquet as pq

    schema = pq.read_schema(path)
    return str(schema.field(field).type) if field in schema.names else ""


def _add(path: Path, decisions: Path, columns: dict[str, _Numbers | _Values]) -> None:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=list(columns))
    decided = pq.read_table(decisions, columns=["decision", "phase", "step"])
    gone = pc.equal(decided["decision"], "dropped").to_numpy()
    ruled = gone & pc.fill_null(pc.equal(decided["phase"], "filter"), False).to_numpy()
    for field, counts in columns.items():
        here = ruled & pc.fill_null(pc.equal(decided["step"], counts.step), False).to_numpy()
        counts.add(table[field].combine_chunks(), ~gone, here)


class _Numbers:
    """Counts in bins between the smallest and the largest value or bound."""

    def __init__(self, paths: Sequence[Path], field: str, step: str, rules: Sequence[Rule]) -> None:
        self.step, self.unknown = step, 0
        self.counts = {name: np.zeros(BINS, np.int64) for name in COUNTS}
        low, high = _range(paths, field)
        bounds = [float(bound) for rule in rules for bound in _bounds(rule)]
        low, high = min([low, *bounds]), max([high, *bounds])
        high = high if high > low else low + 1
        self.log = low >= 0 and high > 20 * max([*map(abs, bounds), 0.5])
        if self.log:
            self.edges = np.expm1(np.linspace(np.log1p(low), np.log1p(high), BINS + 1))
            self.edges[0], self.edges[-1] = low, high
        else:
            self.edges = np.linspace(low, high, BINS + 1)

    def add(self, values: pa.Array, kept: np.ndarray, here: np.ndarray) -> None:
        known = values.is_valid().to_numpy(zero_copy_only=False)
        numbers = values.cast("float64").to_numpy(zero_copy_only=False)
        self.unknown += int((~known).sum())
        for name, rows in zip(COUNTS, (known, kept & known, here & known), strict=True):
            self.counts[name] += np.histogram(numbers[rows], self.edges)[0]

    def result(self) -> dict[str, Any]:
        return {
            "type": "number",
            "scale": "log" if self.log else "linear",
            "edges": [float(f"{edge:.9g}") for edge in self.edges],
            **{name: own.tolist() for name, own in self.counts.items()},
            "unknown": self.unknown,
        }


def _bounds(rule: Rule) -> list[float]:
    own = [bound for bound in (rule.below, rule.above) if bound is not None]
    return own + [bound for bound in (rule.by_language or {}).values() if bound is not None]


def _range(paths: Sequence[Path], field: str) -> tuple[float, float]:
    """The smallest and largest value of a column: from the files' statistics, or else from the values."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    low, high = np.inf, -np.inf
    for path in paths:
        with pq.ParquetFile(path) as file:
            at = file.metadata.schema.names.index(field)
            groups = [file.metadata.row_group(number).column(at) for number in range(file.num_row_groups)]
            if all(group.statistics is not None and group.statistics.has_min_max for group in groups):
                ends = [(group.statistics.min, group.statistics.max) for group in groups]
            else:
                found = pc.min_max(file.read(columns=[field])[field]).as_py()
                ends = [(found["min"], found["max"])] if found["min"] is not None else []
        for smallest, largest in ends:
            low, high = min(low, float(smallest)), max(high, float(largest))
    return (low, high) if low <= high else (0.0, 0.0)


class _Values:
    """Counts of each value of a column of words or flags."""

    def __init__(self, step: str) -> None:
        self.step, self.unknown = step, 0
        self.counts: dict[str, Counter[Any]] = {name: Counter() for name in COUNTS}

    def add(self, values: pa.Array, kept: np.ndarray, here: np.ndarray) -> None:
        listed = values.to_pylist()
        self.unknown += listed.count(None)
        for name, rows in zip(COUNTS, (np.ones(len(listed), bool), kept, here), strict=True):
            self.counts[name].update(listed[row] for row in np.flatnonzero(rows) if listed[row] is not None)

    def result(self) -> dict[str, Any]:
        order = sorted(self.counts["read"], key=lambda value: (-self.counts["read"][value], str(value)))
        shown, rest = order[:VALUES], order[VALUES:]
        others = {name: sum(own[value] for value in rest) for name, own in self.counts.items()}
        return {
            "type": "value",
            "scale": "linear",
            "edges": shown,
            **{name: [own[value] for value in shown] for name, own in self.counts.items()},
            "others": {"values": len(rest), **others},
            "unknown": self.unknown,
        }
