"""kill -9 of a whole build: what was committed stays, the rest is done again, and the corpus is the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from batches import library

from seedstock.corpus import Corpus
from seedstock.corpus.build import build
from seedstock.corpus.config import CorpusConfig
from seedstock.corpus.sources.jsonl import JsonLines
from seedstock.ledger.store import Store
from seedstock.progress import Silent

WORKERS = 2
CONFIG = {"policy": {"signals": ["gopher", "c4"]}, "held_out": "5 %"}


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> JsonLines:
    """Real modules in 8 files, a shard task each."""
    folder = tmp_path_factory.mktemp("input")
    texts = library(9_000_000)
    for number in range(8):
        lines = [json.dumps({"id": f"{number}-{at}", "text": text}) for at, text in enumerate(texts[number::8])]
        (folder / f"{number:02d}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return JsonLines(name="modules", path=str(folder), licence="PSF-2.0")


def make(runs: Path, source: JsonLines) -> Path:
    store, config = Store(runs), CorpusConfig.model_validate(CONFIG)
    return build([source], config, seed=1, key=bytes(32), store=store, reporter=Silent(), workers=WORKERS)


def commits(runs: Path) -> dict[str, tuple[int, int]]:
    """The documents tables of committed pieces: name → inode and time of writing."""
    found = {}
    for commit in runs.glob(".store/corpus/*.partial/work/*/0*.json"):
        about = commit.with_name(f"{commit.stem}.documents.parquet").stat()
        found[commit.parent.name] = (about.st_ino, about.st_mtime_ns)
    return found


def test_a_killed_build_is_taken_up_and_gives_the_same_corpus(tmp_path, source):
    program = textwrap.dedent(f"""
        import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
        from pathlib import Path
        from test_build_restart import make
        from seedstock.corpus.sources.jsonl import JsonLines
        make(Path({str(tmp_path / "killed")!r}), JsonLines.model_validate({source.model_dump()!r}))
    """)
    run = subprocess.Popen([sys.executable, "-c", program])
    deadline = time.monotonic() + 60
    while len(commits(tmp_path / "killed")) < 3:
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    time.sleep(0.5)  # the workers see that their parent is gone
    before = commits(tmp_path / "killed")
    started = {path.name for path in tmp_path.glob("killed/.store/corpus/*.partial/work/*") if path.is_dir()}
    assert 3 <= len(before) < 8, "it was killed in the middle"
    assert len(started) - len(before) <= WORKERS, "more was begun than a shard a worker"
    again = make(tmp_path / "killed", source)
    kept = {(path.stat().st_ino, path.stat().st_mtime_ns) for path in again.glob("documents/part-*.parquet")}
    assert set(before.values()) <= kept, "what was committed is not done again"
    whole = make(tmp_path / "whole", source)
    names = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert all((whole / name).read_bytes() == (again / name).read_bytes() for name in names)
    assert Corpus(whole).summary["kept"]["documents"] > 100
