"""``--engine`` says where a corpus is built, and is no other recipe."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

RECIPE = """
name: small
sources:
  - {kind: jsonl, name: docs, path: docs.jsonl, licence: CC0-1.0}
corpus: {policy: none, held_out: 10 %}
training: {steps: 1}
"""


def command(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "seedstock", "corpus", "recipe.yaml", *more]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"}, check=False)


def test_a_slurm_array_is_left_to_be_submitted_and_any_engine_goes_on(tmp_path, monkeypatch):
    lines = [json.dumps({"id": str(n), "text": f"Seed number {n} of the bag was sown."}) for n in range(100)]
    (tmp_path / "docs.jsonl").write_text("\n".join(lines))
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    asked = command(tmp_path, "--engine", "slurm")
    assert asked.returncode == 75 and "sbatch --wait" in asked.stderr
    (script,) = tmp_path.glob("runs/.store/corpus/*.partial/work/slurm/array.sbatch")
    element = {"PATH": "/usr/bin:/bin", "SLURM_ARRAY_TASK_ID": "0"}
    subprocess.run(["bash", str(script)], env=element, check=True, cwd=tmp_path)
    done = command(tmp_path)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("runs/.store/corpus/*/manifest.json"))
    assert "up to date" in command(tmp_path, "--engine", "local").stderr
