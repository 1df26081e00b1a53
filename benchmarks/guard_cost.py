"""What the stability guard costs a step on this machine: microseconds of its own code, for each setting.

``python benchmarks/guard_cost.py [--step SECONDS]`` calls what a step calls of the guard (copies of buffers, the
verdict on loss and norm, its way to the optimizers and back, the reading) some thousand times on a decoder of 4 M
parameters, one thread; best of five rounds. With ``--step`` also the share of a step of so many seconds.
"""

from __future__ import annotations

import argparse
import time

import torch

from seedstock.models.configs.decoder import DecoderConfig
from seedstock.objectives.base import Spec, assemble
from seedstock.objectives.configs.causal import CausalConfig
from seedstock.training.configs.guard import GuardConfig
from seedstock.training.guard import Guard
from seedstock.training.parallel.world import World
from seedstock.training.readings import Reading

CALLS, ROUNDS = 2000, 5
SETTINGS = {"stop": "stop", "skip, rewind, stop (default)": GuardConfig(), "spikes too": GuardConfig(sigmas=6)}


def cost(config: GuardConfig | str, nets: torch.nn.ModuleDict) -> float:
    """Seconds a step."""
    guard = Guard(config, nets, World(), torch.device("cpu"))  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(1)
    losses, norms = (2 + 0.01 * torch.randn(CALLS, generator=generator) for _ in range(2))
    readings = [Reading(step, 0, 0, 2.0, 2.0, 1e-3, 0.1, 0.0, 0) for step in range(CALLS)]
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for step in range(CALLS):
            kept = guard.keep()
            held, verdict = guard.judge(losses[step], norms[step])
            guard.put_back(kept, held)
            verdict.tolist()
            guard.hear([readings[step]])
        best = min(best, time.perf_counter() - began)
    return best / CALLS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--step", type=float, help="seconds of a step, to give shares of")
    options = parser.parse_args()
    torch.set_num_threads(1)
    network = DecoderConfig(width=256, layers=4, heads=4, context=256).build(8192, seed=1)
    objective = CausalConfig().build(Spec(vocab_size=8192, context=256, model=network.config))
    nets = assemble(network, objective)
    for name, config in SETTINGS.items():
        seconds = cost(config, nets)
        share = f"   {seconds / options.step:.3%} of the step" if options.step else ""
        print(f"{name:30} {seconds * 1e6:6.1f} us a step{share}")


if __name__ == "__main__":
    main()
