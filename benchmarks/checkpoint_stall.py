"""How long training stands still for a checkpoint, written beside training or not.

``python benchmarks/checkpoint_stall.py [SIZE]`` (4M) trains 100 steps with a checkpoint in their middle, both ways.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from seedstock.config import Count
from seedstock.ledger.chain import Chain
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.objectives.configs.causal import CausalConfig
from seedstock.planning.size import resolve
from seedstock.progress import Events
from seedstock.training.configs.training import TrainingConfig
from seedstock.training.fit import fit

VOCABULARY, CONTEXT, STEPS = 8192, 256, 100


class Random:
    """Batches of random tokens."""

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """One, by step."""
        count = 8
        tokens = np.random.default_rng(step).integers(0, VOCABULARY, (count, CONTEXT + 1))
        positions = np.tile(np.arange(CONTEXT + 1), (count, 1))
        examples = np.arange(step * count, (step + 1) * count)
        return {"examples": examples, "tokens": tokens, "documents": np.zeros_like(tokens), "positions": positions}


def measure(size: int, background: bool) -> tuple[float, float]:
    """Seconds of all steps, and those that training stood still for the checkpoint in their middle."""
    model, training, _ = resolve(
        DecoderConfig(shape="qwen3", size=size, context=CONTEXT),
        TrainingConfig(steps=STEPS, batch_tokens=2048),
        VOCABULARY,
    )
    settled: dict[str, Any] = {"precision": "bf16", "threads": 2, "micro_batch": 8, "compile": False}
    update = {**settled, "checkpoint_every": STEPS // 2, "background": background, "schedule": {"kind": "constant"}}
    config = TrainingConfig(**{**training.resolved(CONTEXT).model_dump(), **update})
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        result = fit(
            network=model.filled().build(VOCABULARY, 1),
            objective=CausalConfig().build(),
            loader=Random(),
            config=config,
            run_folder=root,
            chain=Chain(root / "ledger" / "chain.jsonl"),
            reporter=Events(root / "events.jsonl"),
        )
        events = [json.loads(line) for line in (root / "events.jsonl").read_text().splitlines()]
    first = next(event for event in events if event["event"] == "checkpoint")
    return result.seconds, first["stalled"] if background else first["seconds"]


def main() -> None:
    """Prints both."""
    from pydantic import TypeAdapter

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", nargs="?", type=TypeAdapter(Count).validate_python, default="4M")
    size = parser.parse_args().size
    for background in (False, True):
        seconds, stalled = measure(size, background)
        how = "beside training" if background else "in its way"
        print(f"{how}: {STEPS} steps {seconds:.2f} s, stalled {stalled:.4f} s: {stalled / seconds:.2%}")


if __name__ == "__main__":
    main()
