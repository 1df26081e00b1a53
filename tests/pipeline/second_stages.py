"""Small bases over real text, and labelled sentences that a network can learn: what tests of second stages share."""

from __future__ import annotations

import inspect
import json
import textwrap
from pathlib import Path

from seedstock import pipeline, recipe

MODELS = {
    "bert": ("{kind: encoder, shape: bert, CTX}", "{kind: masked}"),
    "modernbert": ("{kind: encoder, shape: modernbert, window: 8, global_every: 2, CTX}", "{kind: masked}"),
    "t5": ("{kind: encoder-decoder, shape: t5, CTX}", "{kind: span-corruption}"),
    "llama": ("{kind: decoder, shape: llama, CTX}", "{kind: causal}"),
}
CTX = "context: 32, width: 32, layers: 2, heads: 2, mlp_width: 64"
QUICK = ["training.threads=1", "training.precision=fp32", "training.micro_batch=16"]
_BASE = """\
name: NAME
seed: 3
sources: [{name: library, kind: text, path: FOLDER, language: en}]
corpus: {policy: none, dedup: null, held_out: 10 %}
mixture: {max_repeats: null}
tokenizer: {kind: bpe, vocab_size: 512}
model: MODEL
objective: OBJECTIVE
training: {steps: 4, batch_tokens: 256, checkpoint_every: 4, precision: fp32, threads: 1, micro_batch: 8,
  compile: false}
"""


def base(runs: Path, shape: str):
    """A base of a few steps over modules of the standard library."""
    folder = runs.parent / "library"
    if not folder.exists():
        folder.mkdir()
        for module in (textwrap, inspect, json):
            (folder / f"{module.__name__}.txt").write_text(inspect.getsource(module))
    model, objective = MODELS[shape]
    text = _BASE.replace("NAME", shape).replace("FOLDER", str(folder)).replace("OBJECTIVE", objective)
    return pipeline.run(recipe.parse(text.replace("MODEL", model.replace("CTX", CTX))), runs=runs, until="training")


def sentences(path: Path, count: int, start: int = 0, unlabelled: int = 0) -> Path:
    """Sentences of the library's documentation; their class is whether a function or a class is spoken of first."""
    words = " ".join(inspect.getdoc(one) or "" for one in vars(inspect).values() if callable(one)).split()
    rows = []
    for number in range(start, start + count):
        kind = ("verb", "noun")[number % 2]
        first = {"verb": "return", "noun": "class"}[kind]
        rows.append({"text": " ".join([first, *words[7 * number : 7 * number + 5]]), "label": kind})
    rows += [{"text": f"without a class {number}"} for number in range(unlabelled)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
