"""How far each parallel layout is from one process: full gradients of a step, and losses over 20 steps.

``python benchmarks/parallel_parity.py [RANKS …]`` (2 and 4) prints the tables of docs/parallelism.md, or those of
``--tables`` alone; it needs the repository, since the cases are those of tests/training/parallel.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "training" / "parallel"), str(ROOT / "tests" / "training")]

import torch  # noqa: E402
from gloo import together  # noqa: E402
from parity_cases import BY_POSITION, CASES, LAYERED, differences, gradients  # noqa: E402
from spread_run import OPTIMIZERS, run  # noqa: E402

Layout = dict[str, Any]
EXAMPLES = {2: 7, 4: 5, 8: 11}
PLAIN = ("sequence", "schedule", "ring")
"""What of a layout is no degree."""


@dataclass(frozen=True)
class Table:
    """Layouts by the number of processes, and the cases that they lay out; ``runs`` trains for 20 steps too."""

    layouts: dict[int, list[Layout]]
    cases: dict[str, Any]
    runs: bool = False


TABLES = {
    "batches and matrices": Table(
        {
            2: [{"data": 2}, {"shard": 2}, {"tensor": 2, "sequence": False}, {"tensor": 2}],
            4: [{"data": 2, "shard": 2}, {"shard": 4}, {"data": 2, "tensor": 2}, {"shard": 2, "tensor": 2}],
            8: [{"data": 2, "shard": 2, "tensor": 2}, {"shard": 8}],
        },
        CASES,
        runs=True,
    ),
    "pieces of sequences": Table(
        {
            2: [{"context": 2}, {"context": 2, "ring": True}],
            4: [
                {"data": 2, "context": 2},
                {"shard": 2, "context": 2},
                {"context": 4},
                {"context": 2, "tensor": 2},
                {"data": 2, "context": 2, "ring": True},
                {"shard": 2, "context": 2, "ring": True},
                {"context": 4, "ring": True},
                {"context": 2, "tensor": 2, "ring": True},
            ],
            8: [{"data": 2, "shard": 2, "context": 2}, {"context": 8, "ring": True}],
        },
        BY_POSITION,
    ),
    "parts of experts": Table(
        {
            2: [{"expert": 2}],
            4: [
                {"shard": 4, "expert": 2},
                {"shard": 4, "expert": 4},
                {"data": 2, "expert": 2},
                {"shard": 2, "context": 2, "expert": 2},
                {"shard": 2, "context": 2, "expert": 2, "ring": True},
            ],
            8: [{"data": 2, "shard": 4, "expert": 2}, {"shard": 4, "context": 2, "expert": 2}],
        },
        {"experts": CASES["experts"]},
    ),
    "stages": Table(
        {
            2: [{"pipeline": 2}, {"pipeline": 2, "schedule": "gpipe"}],
            4: [{"pipeline": 2, "data": 2}, {"pipeline": 2, "shard": 2}],
            8: [{"pipeline": 2, "data": 2, "shard": 2}],
        },
        LAYERED,
    ),
    "stages of models of four layers": Table(
        {
            2: [{"pipeline": 2, "schedule": "interleaved"}, {"pipeline": 2, "schedule": "zero-bubble"}],
            4: [
                {"pipeline": 4},
                {"pipeline": 4, "schedule": "zero-bubble"},
                {"pipeline": 2, "shard": 2, "schedule": "interleaved"},
            ],
        },
        {name: make for name, make in LAYERED.items() if name != "encoder"},
    ),
}


def work(rank: int, ranks: int, root: Path, names: list[str]) -> dict[str, Any]:
    """Every case, and of some tables every optimizer, under every layout of so many processes."""
    logging.disable()
    found: dict[str, Any] = {}
    for title in names:
        table = TABLES[title]
        for number, layout in enumerate(table.layouts.get(ranks, [])):
            for name, make in table.cases.items():
                found[f"{layout} {name}"] = gradients(make(), EXAMPLES[ranks], 2, layout)
            for name, optimizer in OPTIMIZERS.items() if table.runs else ():
                found[f"{layout} {name}"] = run(root / f"{number} {name}", layout, optimizer=optimizer)
    return found


def main() -> None:
    """Prints the tables."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ranks", nargs="*", type=int, default=[2, 4])
    parser.add_argument("--tables", nargs="*", choices=TABLES, default=[*TABLES])
    asked = parser.parse_args()
    for ranks in asked.ranks:
        if ranks not in EXAMPLES:
            parser.error(f"{ranks} processes: 2, 4 and 8 have layouts")
        with tempfile.TemporaryDirectory() as folder:
            found = together(work, ranks, ranks, Path(folder), asked.tables)[0]
            for title in asked.tables:
                if ranks in TABLES[title].layouts:
                    show(title, ranks, found, Path(folder))


def show(title: str, ranks: int, found: dict[str, Any], folder: Path) -> None:
    """Prints one table, each cell the largest difference from one process."""
    table = TABLES[title]
    alone: dict[str, Any] = {name: gradients(make(), EXAMPLES[ranks], 2, None) for name, make in table.cases.items()}
    runs = {name: run(folder / name, optimizer=one) for name, one in OPTIMIZERS.items()} if table.runs else {}
    print(f"\n{title}: {ranks} processes, {EXAMPLES[ranks]} examples in micro-batches of 2\n")
    print("| layout | " + " | ".join([*table.cases, *(f"loss, {name}" for name in runs)]) + " |")
    print("|---" * (1 + len(table.cases) + len(runs)) + "|")
    for layout in table.layouts[ranks]:
        cells = [f"{max(differences(found[f'{layout} {name}'], alone[name]).values()):.1e}" for name in table.cases]
        for name, theirs in runs.items():
            ours = found[f"{layout} {name}"]
            assert theirs is not None and ours["digest"] == theirs["digest"]
            cells.append(f"{float((ours['losses'] - theirs['losses']).abs().max()):.1e}")
        shown = " × ".join(f"{key} {value}" for key, value in layout.items() if key not in PLAIN)
        plain = ", stream whole" if layout.get("sequence") is False else ""
        plain += f", `{layout['schedule']}`" if "schedule" in layout else ""
        plain += ", ring" if layout.get("ring") else ""
        print(f"| {shown}{plain} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
