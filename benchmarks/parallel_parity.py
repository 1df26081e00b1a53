"""How far each parallel layout is from one process: full gradients of a step, and losses over 20 steps.

``python benchmarks/parallel_parity.py [RANKS …]`` (2 and 4) prints the tables of docs/parallelism.md; it needs the
repository, since the cases are those of tests/training/parallel.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "training" / "parallel"), str(ROOT / "tests" / "training")]

import torch  # noqa: E402
from gloo import together  # noqa: E402
from parity_cases import CASES, differences, gradients  # noqa: E402
from spread_run import OPTIMIZERS, run  # noqa: E402

LAYOUTS: dict[int, list[dict[str, Any]]] = {
    2: [{"data": 2}, {"shard": 2}, {"tensor": 2, "sequence": False}, {"tensor": 2}],
    4: [{"data": 2, "shard": 2}, {"shard": 4}, {"data": 2, "tensor": 2}, {"shard": 2, "tensor": 2}],
    8: [{"data": 2, "shard": 2, "tensor": 2}, {"shard": 8}],
}
EXAMPLES = {2: 7, 4: 5, 8: 11}


def work(rank: int, ranks: int, root: Path) -> dict[str, Any]:
    """Every case and every optimizer under every layout of so many processes."""
    logging.disable()
    found: dict[str, Any] = {}
    for number, layout in enumerate(LAYOUTS[ranks]):
        for name, make in CASES.items():
            found[f"{layout} {name}"] = gradients(make(), EXAMPLES[ranks], 2, layout)
        for name, optimizer in OPTIMIZERS.items():
            found[f"{layout} {name}"] = run(root / f"{number} {name}", layout, optimizer=optimizer)
    return found


def main() -> None:
    """Prints the tables."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ranks", nargs="*", type=int, default=[2, 4])
    for ranks in parser.parse_args().ranks:
        if ranks not in LAYOUTS:
            parser.error(f"{ranks} processes: 2, 4 and 8 have layouts")
        with tempfile.TemporaryDirectory() as folder:
            found = together(work, ranks, ranks, Path(folder))[0]
            alone: dict[str, Any] = {name: gradients(make(), EXAMPLES[ranks], 2, None) for name, make in CASES.items()}
            runs = {name: run(Path(folder) / name, optimizer=one) for name, one in OPTIMIZERS.items()}
        print(f"\n{ranks} processes, {EXAMPLES[ranks]} examples in micro-batches of 2\n")
        print("| layout | " + " | ".join([*CASES, *(f"loss, {name}" for name in OPTIMIZERS)]) + " |")
        print("|---" * (1 + len(CASES) + len(OPTIMIZERS)) + "|")
        for layout in LAYOUTS[ranks]:
            cells = [f"{max(differences(found[f'{layout} {name}'], alone[name]).values()):.1e}" for name in CASES]
            for name in OPTIMIZERS:
                ours, theirs = found[f"{layout} {name}"], runs[name]
                assert theirs is not None and ours["digest"] == theirs["digest"]
                cells.append(f"{float((ours['losses'] - theirs['losses']).abs().max()):.1e}")
            shown = " × ".join(f"{key} {value}" for key, value in layout.items() if key != "sequence")
            plain = ", stream whole" if layout.get("sequence") is False else ""
            print(f"| {shown}{plain} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
