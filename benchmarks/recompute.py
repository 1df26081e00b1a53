"""What activation checkpointing saves and costs: the most bytes a step holds at once, and its seconds.

``python benchmarks/recompute.py`` prints the table of docs/parallelism.md; it needs the repository.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "training" / "parallel"), str(ROOT / "tests" / "training")]

import numpy as np  # noqa: E402
import parity_cases  # noqa: E402
import torch  # noqa: E402
from alive import Alive  # noqa: E402

from seedstock.models.configs.decoder import DecoderConfig  # noqa: E402
from seedstock.objectives.configs.causal import CausalConfig  # noqa: E402
from seedstock.training import batches  # noqa: E402
from seedstock.training.configs.parallel import ParallelConfig  # noqa: E402
from seedstock.training.gradients import accumulate  # noqa: E402
from seedstock.training.parallel.layouts import spread  # noqa: E402
from seedstock.training.parallel.world import World  # noqa: E402
from seedstock.training.passing import Pass  # noqa: E402

EXAMPLES, CONTEXT = 4, 256


def measured(how: str) -> tuple[int, float]:
    """Bytes beyond weights, and seconds (the least of three) of a step's gradients."""
    parity_cases.CONTEXT = CONTEXT
    sizes: dict[str, Any] = {"width": 256, "layers": 8, "heads": 8, "kv_heads": 4, "context": CONTEXT}
    case = parity_cases.Case(DecoderConfig(shape="llama", **sizes), CausalConfig())
    nets, objective = case.build()
    passing = Pass(nets, objective)
    spread(passing, World(), ParallelConfig(), recompute=how)
    examples = np.arange(EXAMPLES)
    batch = batches.tensors(case.batch(objective, examples), torch.device("cpu"))

    def step() -> None:
        accumulate(nets, objective, batch, examples, size=EXAMPLES, seed=1, passing=passing)

    with Alive() as alive:
        step()
    fastest = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        step()
        fastest = min(fastest, time.perf_counter() - began)
    return alive.most, fastest


def main() -> None:
    """Prints the table."""
    torch.set_num_threads(2)
    measured("selective")  # what is imported late
    print("| recompute | most bytes at once, beyond weights | seconds a step |\n|---|---|---|")
    for how in ("none", "selective", "full"):
        most, seconds = measured(how)
        print(f"| `{how}` | {most / 2**20:.1f} MiB | {seconds:.2f} |")


if __name__ == "__main__":
    main()
