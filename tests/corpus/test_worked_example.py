"""The package that docs/corpus.md shows in whole does what the page says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "corpus.md"


def test_the_worked_example_runs(tmp_path):
    files = dict(re.findall(r"^`([\w.]+)`\n\n```\w+\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL))
    assert set(files) == {"shelf.py", "pyproject.toml", "poems.yaml"}
    assert sum(text.count("\n") for text in files.values()) < 60
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    # What installing the package would leave beside it.
    groups = tomllib.loads(files["pyproject.toml"])["project"]["entry-points"]
    info = tmp_path / "shelf-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shelf\nVersion: 0.1\n")
    lines = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in kinds.items()) for group, kinds in groups.items()]
    (info / "entry_points.txt").write_text("".join(lines))
    poems = tmp_path / "poems"
    poems.mkdir()
    (poems / "18.poem").write_text(
        "Shall I compare thee to a summer's day?\nThou art more lovely and more temperate.\n"
    )
    (poems / "loud.poem").write_text("LOUD LOUD LOUD NOISE IN THE NIGHT\n")
    command = [sys.executable, "-m", "seedstock", "corpus", "poems.yaml"]
    paths = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (summary,) = tmp_path.glob("runs/.store/corpus/*/summary.json")
    found = json.loads(summary.read_text())
    assert "mostly capitals" in json.dumps(found)
