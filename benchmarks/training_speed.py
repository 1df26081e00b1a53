"""Training tokens a second on this machine: Seedstock beside transformers' Trainer and litgpt, on one Llama of 5 M.

The peers live in an environment of their own (they pin other versions): make one with
``python -m venv peers && peers/bin/pip install torch==2.13.0 transformers accelerate litgpt requests 'pyarrow<21'`` and
pass its Python as ``--peers``. All run AdamW on random tokens, the same batch and precision, in turn, ``--rounds``
times; the table has the best round of each. ``--without`` rows name what each of our optimizations is worth.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
OURS = ("attention", "cross-entropy", "norms", "projections", "memory")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", help="the Python of the peers' environment")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--ablate", action="store_true", help="also run ours without each optimization")
    parser.add_argument("--no-compile", action="store_true", help="eager rows only")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    jobs: list[tuple[str, list[str]]] = []
    for compiled in ([], ["--compile"])[: 1 if options.no_compile else 2]:
        label = ", compiled" if compiled else ""
        jobs.append((f"seedstock{label}", [sys.executable, str(HERE / "peers/seedstock_fit.py"), *compiled]))
        if options.peers:
            for name, script in (("transformers Trainer", "transformers_trainer"), ("litgpt", "litgpt_pretrain")):
                jobs.append((f"{name}{label}", [options.peers, str(HERE / f"peers/{script}.py"), *compiled]))
    if options.ablate:
        for part in OURS:
            command = [sys.executable, str(HERE / "peers/seedstock_fit.py"), "--without", part]
            jobs.append((f"seedstock without {part}", command))

    best: dict[str, dict] = {}
    for _ in range(options.rounds):
        for name, command in jobs:
            extra = ["--steps", str(options.steps), "--batch", str(options.batch), "--precision", options.precision]
            done = subprocess.run([*command, *extra], capture_output=True, text=True, check=False)
            lines = [line for line in done.stdout.splitlines() if line.startswith('{"trainer"')]
            if not lines:
                print(f"{name} failed:\n{done.stderr[-800:]}", file=sys.stderr)
                continue
            row = json.loads(lines[-1])
            if row["tokens_per_second"] > best.get(name, {}).get("tokens_per_second", 0):
                best[name] = row
    if options.json:
        print(json.dumps(best))
        return
    print(f"batch {options.batch} x 256 tokens, {options.precision}, AdamW, best of {options.rounds} rounds\n")
    ours = max((row["tokens_per_second"] for name, row in best.items() if name.startswith("seedstock")), default=1)
    for name, row in sorted(best.items(), key=lambda item: -item[1]["tokens_per_second"]):
        speed = row["tokens_per_second"]
        print(f"{name:34} {speed:>9,.0f} tokens/s   {speed / ours:5.2f} of our best   {row['parameters']:,} parameters")


if __name__ == "__main__":
    main()
