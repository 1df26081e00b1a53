"""A recipe trained in two processes is the run that one process gives, and can go on in any other number."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import torch
from small_recipe import RECIPE

from seedstock import pipeline, recipe
from seedstock.errors import RecipeError
from seedstock.runs import Run
from seedstock.training.checkpoint import folder as checkpoints

# A rate at which nothing jumps: a jump makes rounding larger at each step, in one process as in two.
CALM = "optimizer: {{kind: adamw, learning_rate: 0.005}}, schedule: {{warmup: 4}}"
ADAMW = RECIPE.replace("validate_every: 6", f"validate_every: 6, {CALM}")


@pytest.fixture(scope="module")
def alone(library, tmp_path_factory):
    """The recipe trained in one process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEEDSTOCK_KEY", "5e" * 32)
        runs = tmp_path_factory.mktemp("runs")
        return pipeline.run(recipe.parse(ADAMW.format(folder=library)), runs=runs, until="training")


@pytest.fixture(scope="module")
def spread(library, tmp_path_factory):
    """The same trained by ``seedstock train --processes 2``, and what that told."""
    runs, file = tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("recipe") / "small.yaml"
    file.write_text(ADAMW.format(folder=library))
    command = [sys.executable, "-m", "seedstock", "train", str(file), "--runs", str(runs), "--processes", "2"]
    environment = {**os.environ, "SEEDSTOCK_KEY": "5e" * 32, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    return Run.open(runs, "small"), done.stderr


def test_two_processes_train_the_run_that_one_does(spread, alone):
    run, told = spread
    assert "2 processes: shard 2" in told
    ours, theirs = run.chain.last("checkpoint"), alone.chain.last("checkpoint")
    assert (ours["step"], ours["digest"], ours["example"]) == (theirs["step"], theirs["digest"], theirs["example"])
    assert run.chain.last("trained")["tokens"] == alone.chain.last("trained")["tokens"]
    assert run.chain.last("attempt")["layout"] == "shard 2"
    for name in ("model.embedding.tokens.weight", "model.backbone.norm.weight"):
        found = [torch.empty(checkpoints.sizes(one.folder / ours["folder"])[name][0]) for one in (run, alone)]
        for one, tensor in zip((run, alone), found, strict=True):
            checkpoints.load(one.folder / ours["folder"], {name: tensor})
        torch.testing.assert_close(*found, rtol=1e-3, atol=1e-3)


def test_what_is_written_is_written_once(spread):
    lines = (spread[0].folder / "events.jsonl").read_text().splitlines()
    kinds = Counter(json.loads(line)["event"] for line in lines)
    assert (kinds["step"], kinds["checkpoint"], kinds["validation"]) == (12, 4, 2)


def test_the_time_of_each_process_is_told(spread):
    lines = map(json.loads, (spread[0].folder / "events.jsonl").read_text().splitlines())
    (event,) = [line for line in lines if line["event"] == "stragglers"]
    assert event["step"] == 10 and event["slowest"] in (0, 1) and event["behind"] >= 1
    for name in ("seconds", "own", "probe"):
        assert len(event[name]) == 2 and min(event[name]) > 0


def test_it_can_be_evaluated_and_taken_back_and_resumed_in_one(spread):
    run, _ = spread
    again = pipeline.resume(Run.open(run.runs, "small"), step=8, processes=1)
    assert again.steps_done == 12 and again.chain.last("evaluation")["step"] == 12
    assert again.chain.last("checkpoint")["digest"] == run.chain.last("checkpoint")["digest"]


@pytest.mark.parametrize(
    ("parallel", "told"),
    [
        ("tensor: 2", "model.kv_heads is 1, which tensor 2 does not divide"),
        ("data: 3", "2 processes cannot be laid out as data 3, which needs a multiple of 3"),
        ("pipeline: 2, tensor: 1, context: 2", "2 processes cannot be laid out as pipeline 2 × context 2"),
    ],
)
def test_a_layout_that_does_not_fit_is_refused_before_any_process_starts(library, tmp_path: Path, parallel, told):
    text = RECIPE.format(folder=library).replace("validate_every: 6", f"processes: 2, parallel: {{{parallel}}}")
    with pytest.raises(RecipeError) as error:
        pipeline.run(recipe.parse(text), runs=tmp_path, until="training")
    assert told in error.value.what


@pytest.mark.slow
def test_torchrun_starts_again_and_goes_on_after_a_process_was_killed(library, tmp_path: Path):
    file, runs, log = tmp_path / "small.yaml", tmp_path / "runs", tmp_path / "log"
    file.write_text(ADAMW.format(folder=library).replace("steps: 12", "steps: 60"))
    starter = Path(sys.executable).parent
    command = [starter / "torchrun", "--nproc-per-node", "2", "--max-restarts", "1", "--no-python"]
    command += [starter / "seedstock", "train", file, "--runs", runs]
    environment = {**os.environ, "SEEDSTOCK_KEY": "5e" * 32, "OMP_NUM_THREADS": "1"}
    with log.open("w") as out, subprocess.Popen(command, env=environment, stdout=out, stderr=out) as started:
        while started.poll() is None and not list(runs.glob("small/checkpoints/step-*")):
            time.sleep(0.05)
        second = [pid for pid in children(started.pid) if b"\0RANK=1\0" in Path(f"/proc/{pid}/environ").read_bytes()]
        os.kill(second[0], signal.SIGKILL)
        started.wait(timeout=200)
    assert started.returncode == 0, log.read_text()
    run = Run.open(runs, "small")
    attempts = list(run.chain.of("attempt"))
    assert run.steps_done == 60 and len(attempts) == 2 and attempts[1]["step"] > 0


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
