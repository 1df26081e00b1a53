"""The 50,000-document job: JSON lines through Gopher's filters, MinHash of 14 × 8 and grouping, to zstd Parquet.

``python benchmarks/corpus_job.py IN --datatrove PYTHON --daft PYTHON --ray PYTHON``: IN is a folder of 16 files of JSON
lines (id, text); each PYTHON is of an environment with that peer. All work with two processes on the same
input, one after the other, ``--rounds`` times; the table has the fastest round of each: wall and processor seconds, and
the most memory of all processes together (PSS).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "peers"))

import watch  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("input")
    for peer in ("datatrove", "daft", "ray"):
        parser.add_argument(f"--{peer}", help=f"the Python of an environment with {peer}")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--filter-only", action="store_true")
    parser.add_argument("--no-ours", action="store_true")
    options = parser.parse_args()
    extra = ["--filter-only"] if options.filter_only else []

    jobs = []
    if not options.no_ours:
        ours = [sys.executable, str(HERE / "peers/corpus_seedstock.py"), options.input, "--workers", "2", *extra]
        jobs.append(("Seedstock", ours, {}))
        jobs.append(("Seedstock, kernels in numpy", ours, {"SEEDSTOCK_NATIVE": "0"}))
    peers = (
        ("datatrove", "datatrove, plain filter, split at white space", ["--whitespace", "--plain"]),
        ("datatrove", "datatrove, its own filters, split at white space", ["--whitespace"]),
        ("datatrove", "datatrove as shipped", []),
        ("daft", "Daft", []),
        ("ray", "Ray Data", []),
    )
    for name, label, flags in peers:
        if python := getattr(options, name):
            script = str(HERE / f"peers/corpus_{name}.py")
            jobs.append((label, [python, script, options.input, *flags, *extra], {"PYTHONPATH": str(HERE / "peers")}))

    for name, command, env in jobs:
        best = None
        for _ in range(options.rounds):
            cost = watch.run(command, env={**os.environ, **env})
            if cost.status:
                print(f"{name} failed:\n{cost.out[-1500:]}", file=sys.stderr)
            elif best is None or cost.wall < best.wall:
                best = cost
        if best:
            print(row(name, best), flush=True)


def row(name: str, cost: watch.Cost) -> str:
    lines = [line for line in cost.out.splitlines() if line.startswith('{"kept"')]
    kept = f"{json.loads(lines[-1])['kept']:,}" if lines else "?"
    return f"| {name} | {cost.wall:.1f} | {cost.cpu:.1f} | {cost.peak / 1e9:.2f} | {kept} |"


if __name__ == "__main__":
    main()
