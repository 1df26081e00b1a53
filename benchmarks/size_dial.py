"""What the size dial chooses, beside a sweep around it, by ``seedstock ablate``: is its loss within 1 % of the best?

    SEEDSTOCK_DATA=… python benchmarks/size_dial.py FOLDER [--sizes 300k 800k] [--seeds 3]

For each size one knob at a time is moved off what the dial gives (Muon's rate, the rate of the rest, the batch, width
against depth at equal parameters, weight decay), on equal tokens of technical proposals and novels, seed 1; then the
dial and the best variant again with further seeds. FOLDER has the runs: stop it and start it again at will. ``--table``
prints what is there. One thread; some 45 minutes of one core.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

from seedstock import recipe as recipes
from seedstock.ablations import ablate
from seedstock.planning.size import resolve
from seedstock.progress import Silent

RECIPE = """
name: dial
seed: 1
sources:
  - {name: specs, kind: jsonl, path: "${SEEDSTOCK_DATA}/text/specs.jsonl.zst"}
  - {name: books, kind: jsonl, path: "${SEEDSTOCK_DATA}/text/books.jsonl.zst"}
corpus: {policy: none, dedup: null, held_out: 2 %}
mixture: {max_repeats: null}
tokenizer: {kind: bpe, vocab_size: 512}
model: {kind: decoder, shape: qwen3, size: 300k, context: 128}
objective: {kind: causal}
training:
  tokens: 2M
  optimizer: {kind: muon, rest: {weight_decay: 0}}     # what the dial gives where a recipe says nothing
  precision: bf16
  compile: false
  threads: 1
  micro_batch: 4
evaluation: {tasks: [], limit: 400 kB}
release: {}
"""
VOCABULARY = 512


class Told(Silent):
    """Prints what is said, and nothing else."""

    def say(self, text: Any) -> None:
        print(text, flush=True)


TOKENS = {"300k": "1200k", "800k": "800k", "1500k": "500k"}
SHAPES = {  # a step to the wider and one to the deeper, within 5 % of the size
    "300k": [{"width": 128, "layers": 1, "mlp_width": 512}, {"width": 64, "layers": 5, "mlp_width": 192}],
    "800k": [{"width": 192, "layers": 2, "mlp_width": 448}, {"width": 96, "layers": 7, "mlp_width": 256}],
    "1500k": [{"width": 256, "layers": 2, "mlp_width": 640}, {"width": 128, "layers": 7, "mlp_width": 384}],
}


def knobs(path: Path, size: str, fixed: list[str]) -> dict[str, list[str]]:
    """The values of each ``--vary``, the dial's own first: ``null`` leaves it to the dial."""
    recipe = recipes.load(path, fixed)
    model, training, _ = resolve(recipe.model, recipe.training, VOCABULARY)
    settled = training.resolved(model.context)
    own, batch = settled.optimizer, settled.batch_examples
    decays = [float(f"{own.weight_decay * factor:.2g}") for factor in (0.5, 2)]
    bare = {"kind": "muon", "rest": {"weight_decay": 0}}
    base = {"kind": "decoder", "shape": "qwen3", "size": size, "context": 128}
    return {
        "training.optimizer.learning_rate": ["null", *(f"{own.learning_rate * f:.3g}" for f in (0.5, 2))],
        "training.optimizer.rest.learning_rate": ["null", *(f"{own.rest.learning_rate * f:.3g}" for f in (0.5, 2))],
        "training.batch_examples": ["null", str(batch // 2), str(batch * 2)],
        "model": [json.dumps(base), *(json.dumps(base | shape) for shape in SHAPES[size])],
        "training.optimizer": [json.dumps(bare), *(json.dumps(bare | {"weight_decay": one}) for one in decays)],
    }


def swept(folder: Path, size: str, seeds: int, only: list[str] | None) -> dict[str, Any]:
    """Every knob's report with one seed, and the best variant's with ``seeds``."""
    path = folder / "dial.yaml"
    path.write_text(RECIPE)
    fixed = [f"model.size={size}", f"training.tokens={TOKENS[size]}"]
    common: dict[str, Any] = {"overrides": fixed, "name": f"dial-{size}", "runs": folder, "reporter": Told()}
    found: dict[str, Any] = {"size": size, "tokens": TOKENS[size], "knobs": {}}
    best: tuple[float, str, str, str] | None = None
    for key, values in knobs(path, size, fixed).items():
        if only and not any(one in key for one in only):
            continue
        report = ablate(path, [f"{key}={','.join(values)}"], seeds=1, **common)
        found["knobs"][key] = report["variants"]
        for value, one in list(zip(values, report["variants"], strict=True))[1:]:
            if best is None or one["mean"] < best[0]:
                best = one["mean"], key, values[0], value
    if best and seeds > 1:
        found["best"] = ablate(path, [f"{best[1]}={best[2]},{best[3]}"], seeds=seeds, **common)["variants"]
    return found


def table(found: dict[str, Any]) -> None:
    """Markdown: every variant's loss over the dial's, with the interval over held-out documents."""
    print(
        f"\n{found['size']}, {found['tokens']} tokens\n\n| moved | to | bits per byte | over the dial | by document |"
    )
    print("|---|---|---|---|---|")
    rows = [(key, one) for key, variants in found["knobs"].items() for one in variants]
    dial = rows[0][1]["mean"]
    for number, (key, one) in enumerate(rows):
        if "difference" not in one:
            if not number:
                print(f"| the dial | | {one['mean']:.4f} | | |")
            continue
        low, high = (one["by_documents"] or {}).get("interval", (math.nan, math.nan))
        value = one["values"][key]
        shown = json.dumps({k: v for k, v in value.items() if "w" in k or k == "layers"}) if key == "model" else value
        print(f"| {key} | {shown} | {one['mean']:.4f} | {one['mean'] / dial - 1:+.2%} | {low:+.4f} to {high:+.4f} |")
    least = min(one["mean"] for _, one in rows)
    print(f"\nthe dial over the sweep's best: {dial / least - 1:.2%}")
    if "best" in found:
        own, other = found["best"]
        losses = [f"{a:.4f} and {b:.4f}" for a, b in zip(own["losses"], other["losses"], strict=True)]
        interval = other["over_seeds"]["interval"]
        print(f"by seed, the dial and {other['values']}: {', '.join(losses)}")
        print(f"means: {own['mean'] / other['mean'] - 1:+.2%}, difference {other['difference']:+.4f} {interval}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sizes", nargs="+", choices=TOKENS, default=list(TOKENS))
    parser.add_argument("--seeds", type=int, default=1, help="of the dial and the best variant, after one of all")
    parser.add_argument("--only", nargs="+", help="knobs, by a part of their keys")
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for size in options.sizes:
        record = options.folder / f"dial-{size}.json"
        if not options.table:
            record.write_text(json.dumps(swept(options.folder, size, options.seeds, options.only)))
        table(json.loads(record.read_text()))


if __name__ == "__main__":
    main()
