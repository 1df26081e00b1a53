"""What it takes to begin: a network that is cut up whole, and one that is laid out before it has weights.

``python benchmarks/blank_start.py [PROCESSES …]`` (2 and 4) prints the table of docs/parallelism.md; it needs the
repository.
"""

from __future__ import annotations

import argparse
import logging
import resource
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "training" / "parallel"), str(ROOT / "tests" / "training")]

import torch  # noqa: E402
import torch.distributed as dist  # noqa: E402
from alive import Alive  # noqa: E402
from gloo import together  # noqa: E402

from seedstock.models.configs.decoder import DecoderConfig  # noqa: E402
from seedstock.objectives.base import assemble  # noqa: E402
from seedstock.objectives.configs.causal import CausalConfig  # noqa: E402
from seedstock.training.configs.parallel import ParallelConfig  # noqa: E402
from seedstock.training.parallel import blank  # noqa: E402
from seedstock.training.parallel.layouts import spread  # noqa: E402
from seedstock.training.parallel.world import World  # noqa: E402
from seedstock.training.passing import Pass  # noqa: E402

CPU, VOCABULARY = torch.device("cpu"), 32_768
SIZES: dict[str, Any] = {"width": 768, "layers": 12, "heads": 12, "context": 1024}


def work(rank: int, device: str) -> tuple[int, int, int, float]:
    """Bytes of all parameters, the most that tensors held, what the process grew by, and seconds."""
    logging.disable()
    objective, config = CausalConfig().build(), ParallelConfig(shard=dist.get_world_size())
    World.of(config, CPU).barrier()
    before, began = _resident(), time.perf_counter()
    with Alive() as alive:
        network = DecoderConfig(shape="llama", **SIZES).build(VOCABULARY, 1, device)
        passing = Pass(assemble(network, objective, CPU), objective)
        spread(passing, World.of(config, CPU), config)
        blank.fill(passing, CPU, lambda network: network.initialise())
    whole = sum(parameter.numel() for parameter in passing.parameters()) * 4
    return whole, alive.most, _resident() - before, time.perf_counter() - began


def _resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ranks", nargs="*", type=int, default=[2, 4])
    print("| processes | made | all parameters | most bytes of tensors | the process grows by | seconds |")
    print("|---|---|---|---|---|---|")
    for ranks in parser.parse_args().ranks:
        for device, name in (("cpu", "whole, then cut up"), ("meta", "part by part")):
            found = together(work, ranks, device)
            whole, most, grown, seconds = (max(column) for column in zip(*found, strict=True))
            shown = " | ".join(f"{count / 2**20:.0f} MiB" for count in (whole, most, grown))
            print(f"| {ranks} | {name} | {shown} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
