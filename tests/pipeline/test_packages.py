"""A package of the user's own adds a source, a signal and an objective through entry points."""

import os
import subprocess
import sys
from pathlib import Path

MODULE = """
from typing import Any, ClassVar, Literal
from seedstock.objectives.configs.base import ObjectiveConfig
from seedstock.corpus.signals.base import Signal
from seedstock.corpus.sources.base import Item, Partition, Source

class Sums(Source):
    kind: Literal["sums"] = "sums"
    upto: int

    def partitions(self):
        return [Partition(f"times-{a}", fingerprint=f"{a}/{self.upto}", bytes=self.upto * 12) for a in range(self.upto)]

    def read(self, partition):
        a = int(partition.name.split("-")[1])
        lines = [f"{a} times {b} is {a * b}." for b in range(self.upto)]
        yield Item(partition.name, text="\\n".join(lines), licence="CC0-1.0", language="en")

class Digits(Signal):
    kind: Literal["digits"] = "digits"
    version: ClassVar[int] = 1
    columns: ClassVar[dict[str, str]] = {"share": "float32"}

    def measure(self, text: str) -> dict[str, Any]:
        return {"share": sum(map(str.isdigit, text)) / max(len(text), 1)}

class OddConfig(ObjectiveConfig):
    kind: Literal["odd"] = "odd"

    def build(self, spec=None):
        from sums_objective import Odd
        return Odd()
"""
OBJECTIVE = '''
from seedstock.objectives.causal import Causal

class Odd(Causal):
    """Next-token prediction that counts every other token."""

    def prepare(self, items, keys):
        documents = items["documents"].copy()
        documents[:, 1::2] = -1
        return {**items, "documents": documents}
'''
ENTRY_POINTS = """\
[seedstock.sources]
sums = sums_kinds:Sums
[seedstock.signals]
digits = sums_kinds:Digits
[seedstock.objectives]
odd = sums_kinds:OddConfig
"""
RECIPE = """\
name: sums
sources: [{name: tables, kind: sums, upto: 40}]
corpus:
  policy:
    signals: [{kind: digits}]
    rules: [{signal: digits.share, above: 0.3, reason: mostly digits}]
  dedup: null
  held_out: 10 %
mixture: {max_repeats: null}
tokenizer: {kind: bytes}
model: {kind: decoder, context: 32, width: 32, layers: 1, heads: 2, mlp_width: 64}
objective: {kind: odd}
training: {steps: 4, batch_tokens: 256, precision: fp32, threads: 1, micro_batch: 8, compile: false}
"""


def test_a_package_adds_a_source_a_signal_and_an_objective(tmp_path):
    (tmp_path / "sums_kinds.py").write_text(MODULE)
    (tmp_path / "sums_objective.py").write_text(OBJECTIVE)
    info = tmp_path / "sums-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.4\nName: sums\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "seedstock", "train", "recipe.yaml"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    summary = (next(Path(tmp_path, "runs/.store/corpus").glob("*/summary.json"))).read_text()
    assert "mostly digits" in summary and "CC0-1.0" in summary
    assert (tmp_path / "runs/sums/checkpoints/step-00000004/model.safetensors").is_file()
