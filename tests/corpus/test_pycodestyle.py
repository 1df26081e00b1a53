"""The style signal counts what pycodestyle counts, and says nothing of what is no Python."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

pytest.importorskip("pycodestyle")

from seedstock.corpus.signals.pycodestyle import PyCodeStyle

LIBRARY = Path(sysconfig.get_paths()["stdlib"])


@pytest.mark.parametrize("name", ["keyword", "shlex", "sched", "textwrap"])
def test_it_counts_what_the_command_counts(name):
    path = LIBRARY / f"{name}.py"
    command = [sys.executable, "-m", "pycodestyle", "--count", "--quiet", "--quiet", str(path)]
    theirs = subprocess.run(command, capture_output=True, text=True).stderr.strip() or "0"
    found = PyCodeStyle().measure(path.read_text())
    assert found["violations"] == int(theirs)
    assert found["lines"] == len(path.read_text().splitlines())
    assert found["per_line"] == found["violations"] / found["lines"]


def test_a_violation_more_is_one_more():
    assert PyCodeStyle().measure("x = 1\ny = 2\n")["violations"] == 0
    assert PyCodeStyle().measure("x = 1\ny= 2\n")["violations"] == 1


@pytest.mark.parametrize("text", ["", "a prose's apostrophe (never closed\n", 'x = """\n', "if x:\n    y\n  z\n"])
def test_what_is_no_python_has_no_score(text):
    found = PyCodeStyle().measure(text)
    assert found["violations"] is None and found["per_line"] is None


def test_a_long_text_is_looked_at_in_part():
    found = PyCodeStyle().measure("x = 1\n" * 50_000)
    assert 0 < found["lines"] < 50_000
