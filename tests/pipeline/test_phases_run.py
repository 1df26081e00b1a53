"""A whole run whose examples grow on the way: by the command line, stopped in between, and asked afterwards."""

from __future__ import annotations

import json

import numpy as np
import pytest
from small_recipe import RECIPE

from seedstock import answers, pipeline, recipe
from seedstock.cli import main
from seedstock.errors import RecipeError

TEXT = RECIPE.replace("name: small", "name: growing").replace("validate_every: 6", "validate_every: 12")
PHASES = "phases: [{{from: 0, length: 16}}, {{from: 50 %, length: 64}}], batch_warmup: {{over: 4, phases: 1}},"
TEXT = TEXT.replace("steps: 12,", f"steps: 12, {PHASES}")


@pytest.fixture(scope="module", autouse=True)
def key():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEEDSTOCK_KEY", "5e" * 32)
        yield


@pytest.fixture(scope="module")
def growing(library, tmp_path_factory):
    runs = tmp_path_factory.mktemp("growing")
    return pipeline.run(recipe.parse(TEXT.format(folder=library)), runs=runs, until="training")


def test_the_run_is_told_as_it_was(growing, library):
    plan = growing.plan
    steps = [(plan.examples(step)[1], plan.length(step)) for step in range(12)]
    assert steps[:4] == [(8, 16)] * 4 and steps[4:6] == [(32, 16)] * 2 and steps[-1] == (8, 64)
    trained = growing.chain.last("trained")
    assert trained["tokens"] == sum(n * length for n, length in steps)
    assert trained["examples"] == sum(n for n, _ in steps)
    # Taken back to before the change it comes to the same bits.
    digest = growing.checkpoint["digest"]
    weights = growing.folder / growing.checkpoint["folder"] / "model.safetensors"
    held = weights.read_bytes()
    with growing.lock():
        pipeline.rewind(growing, 4)
    pipeline.run(recipe.parse(TEXT.format(folder=library)), runs=growing.runs, until="training")
    assert growing.checkpoint["digest"] == digest and weights.read_bytes() == held


def test_trace_answers_on_both_sides(growing):
    change = next(step for step in range(12) if growing.plan.length(step) == 64)
    for step in (change, change + 1):
        found = answers.step(growing, step)
        documents = {span["document"] for span in found["spans"]}
        assert found["on_record"] and documents
        one = sorted(documents)[0]
        told = answers.documents(growing, document=one)["documents"][0]
        assert step in told["steps"]
    spans = np.array([span["stop"] - span["start"] for span in answers.step(growing, change + 1)["spans"]])
    assert spans.sum() == 8 * 65


def test_plan_counts_them(capsys, growing, library, tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(TEXT.format(folder=library))
    assert main(["plan", str(path), "--hardware", "h100", "--json", "--runs", str(growing.runs)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["tokens"] == 512 * 12 - 4 * 384 and found["steps"] == 12
    assert sum(row["tokens"] for row in found["mixture"]) == growing.chain.last("trained")["tokens"]


def test_an_objective_whose_windows_do_not_divide_says_so(library, tmp_path):
    text = TEXT.replace("name: growing", "name: t5").replace("kind: decoder, shape: qwen3", "kind: encoder-decoder")
    text = text.replace("kv_heads: 1, ", "").replace("training:", "objective: {{kind: denoising}}\ntraining:")
    with pytest.raises(RecipeError, match="move on by 15 and 63 tokens") as caught:
        pipeline.run(recipe.parse(text.format(folder=library)), runs=tmp_path, until="training")
    assert caught.value.where == "training.phases"
