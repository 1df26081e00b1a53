"""How much of what was read and kept looks like undeclared text of a language model, by domain and year."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedstock.corpus.disparity import wilson

if TYPE_CHECKING:
    import pyarrow as pa

MACHINE, SUSPECT = "machine_text", 0.3  # what people wrote is above this in less than one document of a hundred
GROUPS = 40  # of a dimension, the largest


class MachineShare:
    """Counts of text that may be a language model's, by domain and year, of what was read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = ""
        self.counts: dict[str, dict[str, Counter[str]]] = {"domain": {}, "year": {}}

    def add(self, part: str, columns: dict[str, list[str]], table: pa.Table) -> None:
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        from seedstock.corpus import summary

        path = summary.signal_part(self.folder, MACHINE, part)
        if path is None:
            return
        self.name = path.parent.name
        found = pq.read_table(path, columns=["telling", "score"])
        known = found["score"].is_valid().to_numpy()
        kept = pc.not_equal(table["decision"], "dropped").to_numpy()
        telling = pc.fill_null(pc.greater(found["telling"], 0), False).to_numpy()
        above = pc.fill_null(pc.greater(found["score"], SUSPECT), False).to_numpy()
        for dimension, groups in self.counts.items():
            for row, value in enumerate(columns[dimension]):
                own = groups.setdefault(value, Counter())
                own["documents"] += 1
                for name, flags in (("measured", known), ("telling", telling), ("above", above)):
                    own[name] += bool(flags[row])
                    own[f"kept_{name}"] += bool(flags[row] and kept[row])

    def result(self) -> dict[str, Any]:
        if not self.name:
            return {}
        names = ("documents", "measured", "telling", "above", "kept_measured", "kept_above")
        by = {}
        for dimension, groups in self.counts.items():
            ranked = sorted(groups, key=lambda value: (-groups[value]["documents"], value))[:GROUPS]
            if any(ranked):
                by[f"by_{dimension}"] = {
                    value: {
                        **{name: groups[value][name] for name in names},
                        "interval": list(wilson(groups[value]["above"], groups[value]["measured"])),
                    }
                    for value in ranked
                }
        return {"machine": {"signal": self.name, "above": SUSPECT, **by}}
