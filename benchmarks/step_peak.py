"""What share of the machine's measured bf16 matrix peak a training step reaches, by size.

    python benchmarks/step_peak.py [--sizes 1M 5M 20M 60M] [--optimizer adamw] [--precision fp32] [--compile]

A Qwen3 of the size dial on a vocabulary of 4,096 and 256 positions, 8 sequences of random tokens a step, trained by
``fit``: everything that a run does in a step (batch, forward, backward, clipping, guard, optimizer, readings) is in its
time. The share is 6N + 12 L H Q T FLOPs a token (docs/training.md) over the fastest product of two 1,024 x 1,024
matrices, before or after; an optimizer's own products do not count as work. Steps are medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from seedstock.config import Count
from seedstock.ledger.chain import Chain
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.objectives.configs.causal import CausalConfig
from seedstock.planning.size import resolve
from seedstock.training.callbacks.base import Callback
from seedstock.training.configs.training import TrainingConfig
from seedstock.training.fit import fit
from seedstock.training.measure import flops_a_token, peak

VOCABULARY, CONTEXT, BATCH, WARMUP = 4096, 256, 8, 3
DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


class Random:
    """Batches of random tokens."""

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """One, by step."""
        tokens = np.random.default_rng(step).integers(0, VOCABULARY, (BATCH, CONTEXT + 1))
        positions = np.tile(np.arange(CONTEXT + 1), (BATCH, 1))
        examples = np.arange(step * BATCH, (step + 1) * BATCH)
        return {"examples": examples, "tokens": tokens, "documents": np.zeros_like(tokens), "positions": positions}


class Clock(Callback):
    """Seconds of each step."""

    name = "clock"

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def read(self, run: Any, readings: list[Any]) -> None:
        self.seconds += [reading.seconds for reading in readings]


def measured(size: int, options: argparse.Namespace) -> dict[str, Any]:
    """One row."""
    steps = WARMUP + options.steps
    model, training, _ = resolve(
        DecoderConfig(shape="qwen3", size=size, context=CONTEXT),
        TrainingConfig(steps=steps, batch_examples=BATCH, optimizer={"kind": options.optimizer}),
        VOCABULARY,
    )
    update: dict[str, Any] = {"precision": options.precision, "threads": options.threads, "micro_batch": options.micro}
    update |= {"compile": options.compile, "checkpoint_every": 10**9}
    config = TrainingConfig(**{**training.resolved(CONTEXT).model_dump(), **update})
    network, clock = model.filled().build(VOCABULARY, 1), Clock()
    torch.set_num_threads(options.threads)
    cpu, dtype = torch.device("cpu"), DTYPES[options.precision]
    fastest = peak(dtype, cpu, seconds=1.0)
    with tempfile.TemporaryDirectory() as folder:
        fit(
            network=network,
            objective=CausalConfig().build(),
            loader=Random(),
            config=config,
            run_folder=Path(folder),
            chain=Chain(Path(folder) / "chain.jsonl"),
            callbacks=[clock],
        )
    fastest = max(fastest, peak(dtype, cpu, seconds=1.0))
    seconds = statistics.median(clock.seconds[WARMUP:])
    rate = BATCH * CONTEXT / seconds
    return {
        "parameters": sum(one.numel() for one in network.parameters()),
        "width": model.width,
        "layers": model.layers,
        "seconds": seconds,
        "tokens_per_second": rate,
        "flops": rate * flops_a_token(network, CONTEXT),
        "peak": fastest,
    }


def main() -> None:
    from pydantic import TypeAdapter

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    count = TypeAdapter(Count).validate_python
    parser.add_argument("--sizes", nargs="+", type=count, default=[count(one) for one in ("1M", "5M", "20M", "60M")])
    parser.add_argument("--optimizer", default="adamw")
    parser.add_argument("--precision", choices=DTYPES, default="bf16")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--micro", type=int, default=BATCH, help="sequences at once")
    parser.add_argument("--steps", type=int, default=8, help="timed ones, after 3")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    print(f"{options.precision}, {options.threads} threads, {options.optimizer}, torch {torch.__version__}\n")
    print("| parameters | width x layers | tokens/s | GFLOP/s | peak, GFLOP/s | share |\n|---|---|---|---|---|---|")
    for size in options.sizes:
        row = measured(size, options)
        if options.json:
            print(json.dumps(row))
            continue
        cells = f"{row['parameters'] / 1e6:.1f} M | {row['width']} x {row['layers']} | {row['tokens_per_second']:,.0f}"
        work = f"{row['flops'] / 1e9:.0f} | {row['peak'] / 1e9:.0f} | {row['flops'] / row['peak']:.1%}"
        print(f"| {cells} | {work} |", flush=True)


if __name__ == "__main__":
    main()
