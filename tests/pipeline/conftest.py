"""A small real corpus and a run of it, made once."""

from __future__ import annotations

import inspect
import shutil
from pathlib import Path

import pytest

from seedstock import pipeline, recipe

RECIPE = """\
name: small
seed: 3
sources:
  - name: library
    kind: text
    path: {folder}
    licence: PSF-2.0
    domain: code
corpus: {{policy: none, dedup: {{kind: minhash}}, held_out: 10 %}}
mixture: {{max_repeats: null}}
tokenizer: {{kind: bpe, vocab_size: 512}}
model: {{kind: decoder, shape: qwen3, context: 64, width: 32, layers: 2, heads: 2, kv_heads: 1, mlp_width: 64}}
training:
  {{steps: 12, batch_tokens: 512, checkpoint_every: 4, precision: fp32, threads: 1, micro_batch: 8, compile: false,
   validate_every: 6}}
"""


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
