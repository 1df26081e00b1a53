"""A tiny run made by the real pipeline, up to its evaluation: modules of the standard library, a network of 140 k."""

from __future__ import annotations

import json
import shutil
import sysconfig
from pathlib import Path

import pytest

RECIPE = """
name: tiny
seed: 1
sources:
  - name: modules
    kind: jsonl
    path: {path}
    description: Modules of the standard library
    url: https://docs.python.org
    acquisition: shipped with Python
  - {{name: notes, kind: jsonl, path: {notes}, licence: CC0-1.0}}
corpus: {{held_out: 10 %}}
tokenizer: {{kind: bpe, vocab_size: 512}}
model: {{kind: decoder, context: 64, width: 64, layers: 2, heads: 2}}
training:
  {{steps: 8, batch_tokens: 512, checkpoint_every: 4, precision: fp32, threads: 1, micro_batch: 8, compile: false}}
evaluation: {{floor_order: 1, compress_limit: 20 kB}}
release: {{provider: The Tests, licence: Apache-2.0, intended_uses: [testing], data: {{synthetic: false}}}}
"""


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """The run's folder."""
    from seedstock import pipeline, recipe
    from seedstock.progress import Events

    folder = tmp_path_factory.mktemp("private-place")
    library = Path(sysconfig.get_path("stdlib"))
    with (folder / "modules.jsonl").open("w") as file:
        for path in sorted(library.glob("*.py"))[:24]:
            line = {"text": path.read_text()[:3000], "id": path.name, "license": "PSF-2.0"}
            file.write(json.dumps(line | {"url": f"https://docs.python.org/3/{path.stem}"}) + "\n")
        file.write(json.dumps({"text": "too short", "id": "short", "license": "PSF-2.0"}) + "\n")
    with (folder / "notes.jsonl").open("w") as file:
        for number in range(3):
            text = f"A note with the number {number}, write to someone.{number}@example.org or come by. " * 9
            file.write(json.dumps({"text": text, "id": f"note-{number}"}) + "\n")
    patch = pytest.MonkeyPatch()
    patch.setenv("SEEDSTOCK_KEY", "5e" * 32)
    with patch.context():
        text = RECIPE.format(path=folder / "modules.jsonl", notes=folder / "notes.jsonl")
        run = pipeline.run(recipe.parse(text), runs=folder / "runs", reporter=Events(), until="evaluation")
    patch.undo()
    return run.folder


@pytest.fixture
def run(trained, tmp_path):
    """A copy of it for a test to work on."""
    shutil.copytree(trained.parent, tmp_path / "runs")
    return tmp_path / "runs" / trained.name
