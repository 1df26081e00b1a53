"""Whether continuing a base of other text comes to what a scaling law of one's own data says of it.

``python benchmarks/base_or_scratch.py RUNS`` trains a base on books, sweeps a ladder over Python's own packages, has
``plan --base`` foresee both ways for one budget, continues the base, and prints predicted and measured. It goes on
where it was. Bytes as tokens, contexts of 64, decoders of 74 k to 181 k parameters: some 6 M tokens in all, minutes on
two free cores. Needs SEEDSTOCK_DATA.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

RECIPE = """\
name: {name}
seed: 1
sources: [{source}]
corpus: {{policy: none, held_out: 4 %}}
mixture: {{max_repeats: null}}
tokenizer: {{kind: bytes}}
model: {{kind: decoder, shape: qwen3, size: 181k, context: 64}}
training: {{{start}tokens: {tokens}, batch_tokens: 1k, threads: 1, precision: fp32, compile: false,
  checkpoint_every: 100000, micro_batch: 16}}
evaluation: {{limit: 60 kB, floor_order: 2, floor_limit: 300 kB, compress_limit: 300 kB}}
"""
BOOKS = "{kind: jsonl, name: books, path: '${SEEDSTOCK_DATA}/text/books.jsonl.zst', limit: 6 MB}"
PYTHON = "{kind: python-packages, name: python, limit: 6 MB}"
SWEEP = ("--sizes", "74k,128k,181k", "--ratios", "1.5,3,6")


def asked(*words: str) -> dict[str, Any]:
    """What a command answers in JSON."""
    found = subprocess.run([sys.executable, "-m", "seedstock", *words, "--json"], capture_output=True, text=True)
    if found.returncode:
        sys.exit(found.stdout + found.stderr)
    return json.loads(found.stdout)


def main(runs: Path) -> None:
    """Everything that is not there yet, and the table."""
    runs.mkdir(parents=True, exist_ok=True)
    recipes = {
        "prose": (BOOKS, "", "1080k"),
        "python": (PYTHON, "", "540k"),
        "continued": (PYTHON, "start: 'run:prose', ", "540k"),
    }
    for name, (source, start, tokens) in recipes.items():
        text = RECIPE.format(name=name, source=source, start=start, tokens=tokens)
        (runs / f"{name}.yaml").write_text(text, encoding="utf-8")
    paths, where = {name: str(runs / f"{name}.yaml") for name in recipes}, ("--runs", str(runs))
    asked("train", paths["prose"], *where)
    rows = {row["run"]: row for row in asked("sweep", paths["python"], *where, *SWEEP)["runs"]}
    said = asked("plan", paths["python"], *where, "--hardware", "h100", "--base", "run:prose")["base"]
    asked("train", paths["continued"], *where)
    asked("evaluate", "continued", *where)
    chain = (runs / "continued" / "ledger" / "chain.jsonl").read_text(encoding="utf-8").splitlines()
    scored = [one["body"] for one in map(json.loads, chain) if one["kind"] == "evaluation"][-1]["predicted"]
    print("bits per byte | foreseen | measured")
    low, high = said["scratch"]["interval"]
    own = rows["python.sweep-181k-3x"]["loss"]
    print(f"scratch | {said['scratch']['loss']:.3f} ({low:.3f} to {high:.3f}) | {own:.3f}")
    (low, high), measured = scored["interval"], scored["measured"]
    print(f"continued | {scored['loss']:.3f} ({low:.3f} to {high:.3f}) | {measured:.3f}, worth {scored['worth']:.1%}")
    for one in said["continued"]:
        print(f"  a token of the base worth {one['worth']:.0%}: {one['loss']:.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
