"""A small real corpus and a run of it, made once."""

from __future__ import annotations

import inspect
import shutil
from pathlib import Path

import pytest
from small_recipe import RECIPE

from seedstock import pipeline, recipe


def documents(folder: Path) -> Path:
    """Real modules of the standard library as text files, and one of them twice."""
    import argparse
    import bisect
    import calendar
    import colorsys
    import contextlib
    import difflib
    import fractions
    import heapq
    import shlex
    import textwrap

    folder.mkdir(parents=True)
    modules = [argparse, bisect, calendar, colorsys, contextlib, difflib, fractions, heapq, shlex, textwrap]
    for module in modules:
        source = inspect.getsource(module).splitlines(keepends=True)
        for part in range(0, len(source), 150):
            (folder / f"{module.__name__}-{part:05}.py").write_text("".join(source[part : part + 150]))
    shutil.copy(folder / "shlex-00000.py", folder / "zz-shlex-again.py")
    return folder


@pytest.fixture(scope="session")
def library(tmp_path_factory) -> Path:
    """A folder of documents."""
    return documents(tmp_path_factory.mktemp("library") / "texts")


@pytest.fixture(scope="session")
def finished(library, tmp_path_factory):
    """A finished run of the small recipe. Tests that change it work on a copy of its folder of runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEEDSTOCK_KEY", "5e" * 32)
        runs = tmp_path_factory.mktemp("runs")
        return pipeline.run(recipe.parse(RECIPE.format(folder=library)), runs=runs)


@pytest.fixture
def copied(finished, tmp_path):
    """The finished run in a folder of runs of the test's own."""
    from seedstock.runs import Run

    shutil.copytree(finished.runs, tmp_path / "runs")
    return Run.open(tmp_path / "runs", "small")
