"""What rounding to float8 costs a small run: recipes/tinyshakespeare.yaml, narrower and shorter, emulated on a CPU.

Needs SEEDSTOCK_DATA and seedstock[float8]. Prints nats a character on the last tenth for bf16 and torchao's recipes,
by seed: the table of docs/training.md. Emulation says nothing of speed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

KINDS = ("bf16", "tensorwise", "rowwise", "rowwise_with_gw_hp")
SMALL = ("model.width=128", "model.mlp_width=512", "training.batch_tokens=2048", "training.micro_batch=8")
SHORT = ("training.compile=false", "training.threads=1", "training.checkpoint_every=1000")


def score(kind: str, seed: int, steps: int) -> float:
    """Nats a character of one run."""
    changes = [*SMALL, *SHORT, f"training.steps={steps}", f"training.validate_every={steps}", f"seed={seed}"]
    if kind != "bf16":
        changes.append(f"training.float8={{recipe: {kind}, emulate: true}}")
    with tempfile.TemporaryDirectory() as folder:
        extra = [part for change in changes for part in ("--set", change)]
        command = [sys.executable, "-m", "seedstock", "run", "tinyshakespeare", *extra, "--json"]
        subprocess.run(command, cwd=folder, capture_output=True, check=True)
        scores = json.loads(Path(folder, "runs/tinyshakespeare/evaluation/scores.json").read_text())
    return scores["held_out"]["nats_per_character"]


def main() -> None:
    """Prints a row for each kind."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()
    for kind in KINDS:
        found = [score(kind, seed, options.steps) for seed in options.seeds]
        print(f"| {kind} | {', '.join(f'{nats:.4f}' for nats in found)} | {sum(found) / len(found):.4f} |", flush=True)


if __name__ == "__main__":
    main()
