"""Sequences cut among processes: keys gathered or passed round, runs in order or mirrored. Memory, time, balance.

``python benchmarks/context_ring.py [PROCESSES …]`` (2 and 4) prints the table of docs/parallelism.md; it needs the
repository.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "training" / "parallel"), str(ROOT / "tests" / "training")]

import numpy as np  # noqa: E402
import parity_cases  # noqa: E402
import torch  # noqa: E402
import torch.distributed as dist  # noqa: E402
from alive import Alive  # noqa: E402
from gloo import together  # noqa: E402

from seedstock.models.configs.decoder import DecoderConfig  # noqa: E402
from seedstock.objectives.configs.causal import CausalConfig  # noqa: E402
from seedstock.training import batches  # noqa: E402
from seedstock.training.configs.parallel import ParallelConfig  # noqa: E402
from seedstock.training.gradients import accumulate  # noqa: E402
from seedstock.training.parallel.layouts import spread  # noqa: E402
from seedstock.training.parallel.world import World  # noqa: E402
from seedstock.training.passing import Pass  # noqa: E402

CONTEXT, TIMES = 2048, 6
SIZES: dict[str, Any] = {"width": 128, "layers": 4, "heads": 4, "context": CONTEXT}
WAYS = {
    "gathered, in order": (False, False),
    "gathered, mirrored": (False, True),
    "ring, in order": (True, False),
    "ring, mirrored": (True, True),
}


def work(rank: int, ranks: int) -> dict[str, tuple[int, list[float], float]]:
    """Of every way: the most bytes beyond weights, the seconds of every step, and the least of work alone."""
    logging.disable()
    parity_cases.CONTEXT = CONTEXT
    return {name: measured(ranks, *way) for name, way in WAYS.items()}


def measured(ranks: int, ring: bool, mirror: bool) -> tuple[int, list[float], float]:
    """A step of one example that is one document."""
    case = parity_cases.Case(DecoderConfig(shape="llama", **SIZES), CausalConfig())
    nets, objective = case.build()
    config, passing = ParallelConfig(context=ranks, ring=ring), Pass(nets, objective)
    world = World.of(config, torch.device("cpu"))
    spread(passing, world, config)
    passing.context.mirror = mirror
    examples = np.zeros(1, np.int64)
    batch = batches.tensors(case.batch(objective, examples), torch.device("cpu"))

    def step() -> None:
        accumulate(nets, objective, batch, examples, size=1, seed=1, world=world, parts=1, passing=passing)

    step()  # what is made once
    with Alive() as alive:
        step()
    found = []
    for _ in range(TIMES):
        dist.barrier()
        began, worked = time.perf_counter(), time.process_time()
        step()
        found.append((time.perf_counter() - began, time.process_time() - worked))
    return alive.most, [seconds for seconds, _ in found], min(worked for _, worked in found)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ranks", nargs="*", type=int, default=[2, 4])
    print("| processes | keys | most bytes at once, beyond weights | seconds a step | busiest over mean |")
    print("|---|---|---|---|---|")
    for ranks in parser.parse_args().ranks:
        found = together(work, ranks, ranks)
        for name in WAYS:
            most, seconds, worked = zip(*(one[name] for one in found), strict=True)
            level = max(worked) / (sum(worked) / ranks)
            fastest = min(map(max, zip(*seconds, strict=True)))  # a step lasts as long as its slowest process
            print(f"| {ranks} | {name} | {max(most) / 2**20:.1f} MiB | {fastest:.2f} | {level:.2f} |", flush=True)


if __name__ == "__main__":
    main()
