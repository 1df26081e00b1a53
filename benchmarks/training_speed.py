"""Training tokens a second on this machine: Seedstock beside transformers' Trainer and litgpt, on one Llama.

``--shape 5m`` is for two cores. ``--gpu`` runs what is for one GPU, 124 M parameters at 1,024 positions and 1 B at
2,048, and tells MFU by the device's data sheet. Every row that was not measured says why.

The peers live in an environment of their own (they pin other versions): make one with
``python -m venv peers && peers/bin/pip install torch==2.13.0 transformers accelerate litgpt requests 'pyarrow<21'`` and
pass its Python as ``--peers``. All run AdamW on random tokens, the same batch and precision, in turn, ``--rounds``
times; the table has the best round of each. ``--ablate`` rows name what each of our optimizations is worth.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
OURS = ("attention", "cross-entropy", "norms", "projections", "memory")
PEERS = {"transformers Trainer": "transformers_trainer", "litgpt": "litgpt_pretrain"}
GPU_BATCHES = {"124m": 32, "1b": 8}  # sequences a step: what 80 GB hold without recomputation
GPU_AIMS = {"124m": (400_000, 460_000), "1b": (45_000,)}  # tokens/s on one H200


def jobs(options: argparse.Namespace) -> dict[str, list[str] | None]:
    """The command of each row; None where it cannot be measured here."""
    found: dict[str, list[str] | None] = {}
    for compiled in ([], ["--compile"])[: 1 if options.no_compile else 2]:
        label = ", compiled" if compiled else ""
        found[f"seedstock{label}"] = [sys.executable, str(HERE / "peers/seedstock_fit.py"), *compiled]
        for name, script in PEERS.items():
            command = [options.peers, str(HERE / f"peers/{script}.py"), *compiled]
            found[name + label] = command if options.peers else None
    if options.ablate:
        for part in OURS:
            found[f"seedstock without {part}"] = [
                sys.executable,
                str(HERE / "peers/seedstock_fit.py"),
                "--without",
                part,
            ]
    return found


def measured(shape: str, batch: int, options: argparse.Namespace, peak: float) -> dict[str, dict[str, Any]]:
    """The best round of each row, or ``{"why": …}``."""
    best: dict[str, dict[str, Any]] = {}
    extra = ["--steps", options.steps, "--batch", batch, "--precision", options.precision, "--peak", peak]
    for _ in range(options.rounds):
        for name, command in jobs(options).items():
            if command is None:
                best[name] = {"why": "no --peers"}
                continue
            own = {**os.environ, "SHAPE": shape}
            done = subprocess.run([*command, *map(str, extra)], capture_output=True, text=True, check=False, env=own)
            lines = [line for line in done.stdout.splitlines() if line.startswith('{"trainer"')]
            row = json.loads(lines[-1]) if lines else {"why": (done.stderr.strip().splitlines() or ["no answer"])[-1]}
            if row.get("tokens_per_second", 0) >= best.get(name, {}).get("tokens_per_second", 0):
                best[name] = row
    return best


def table(shape: str, batch: int, rows: dict[str, dict[str, Any]], options: argparse.Namespace) -> None:
    """Prints the rows, fastest first."""
    rate = {name: row.get("tokens_per_second", 0.0) for name, row in rows.items()}
    ours = max((value for name, value in rate.items() if name.startswith("seedstock")), default=0.0) or 1.0
    print(f"\n{shape}, {batch} sequences a step, {options.precision}, AdamW, best of {options.rounds} rounds")
    if shape in GPU_AIMS:
        print(f"aims on one H200: {', then '.join(f'{aim:,}' for aim in GPU_AIMS[shape])} tokens/s")
    for name, row in sorted(rows.items(), key=lambda item: -rate[item[0]]):
        if "why" in row:
            print(f"{name:34} not measured: {row['why'][:120]}")
            continue
        used = f"   {row['mfu']:6.1%} of the peak" if row["mfu"] else ""
        print(f"{name:34} {rate[name]:>9,.0f} tokens/s   {rate[name] / ours:5.2f} of our best{used}")


def gpu_peak() -> float | None:
    """FLOP/s of this machine's GPU by its data sheet, 0 where the sheet is not known; None without a GPU."""
    import torch

    from seedstock.training import measure

    return measure.sheet(torch.device("cuda")) if torch.cuda.is_available() else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", help="the Python of the peers' environment")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batch", type=int, help="sequences a step (8; for a GPU what 80 GB hold)")
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--ablate", action="store_true", help="also run ours without each optimization")
    parser.add_argument("--no-compile", action="store_true", help="eager rows only")
    parser.add_argument("--shape", choices=("5m", "124m", "1b"), default="5m")
    parser.add_argument("--gpu", action="store_true", help="the shapes for one GPU")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    peak = gpu_peak()
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for shape in GPU_BATCHES if options.gpu else (options.shape,):
        batch = options.batch or (GPU_BATCHES[shape] if options.gpu else 8)
        if options.gpu and peak is None:
            found[shape] = {name: {"why": "no GPU here"} for name in jobs(options)}
        else:
            found[shape] = measured(shape, batch, options, peak or 0.0)
        if not options.json:
            table(shape, batch, found[shape], options)
    if options.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
