"""A run whose batch or length changes is planned for what it will read: the numbers that training then counts."""

from __future__ import annotations

import json

import pytest

from seedstock import recipe
from seedstock.cli import main
from seedstock.errors import RecipeError
from seedstock.planning import flops
from seedstock.planning.hardware import DEVICES
from seedstock.planning.parameters import Shape
from seedstock.planning.plan import plan

RECIPE = """\
name: small
sources: [{kind: text, name: a, path: nowhere}]
tokenizer: {kind: bytes}
model: {kind: decoder, context: 1024, width: 64, layers: 2, heads: 2, mlp_width: 128}
training: {LENGTH, batch_tokens: 16384, MORE}
"""


def planned(length, more, **options):
    text = RECIPE.replace("LENGTH", length).replace("MORE", more)
    return plan(recipe.parse(text), hardware=DEVICES["h100"], **options)


WARMUP = "batch_warmup: {over: 40, first: 25 %, phases: 2}"


def test_the_steps_that_a_batch_warmup_adds_are_counted():
    plain, warmed = planned("tokens: 1638400", "keep: 3"), planned("tokens: 1638400", WARMUP)
    # 20 steps of 4 examples and 20 of 10 are worth 17.5 of 16: as many steps more as what is left takes.
    assert plain.steps == 100 and warmed.steps == 123 and warmed.tokens == (20 * 4 + 20 * 10 + 83 * 16) * 1024
    assert 0 <= warmed.tokens - 1638400 < 16384 and plain.tokens == 1638400
    assert warmed.flops == pytest.approx(warmed.flops_a_token * warmed.tokens)
    shorter = planned("steps: 100", WARMUP)
    assert shorter.steps == 100 and shorter.tokens == (20 * 4 + 20 * 10 + 60 * 16) * 1024
    assert shorter.seconds < plain.seconds and shorter.flops < plain.flops
    assert "steps of up to 16,384" in shorter.table() and "from step 20 10 examples of 1,024" in shorter.table()
    assert "up to 16,384" not in plain.table()


def test_each_length_has_its_own_flops():
    phases = "phases: [{from: 0, length: 128}, {from: 75 %, length: 1024}]"
    found, plain = planned("steps: 100", phases), planned("steps: 100", "keep: 3")
    made = recipe.parse(RECIPE.replace("LENGTH", "steps: 1").replace("MORE", "keep: 3"))
    short, long = (flops.training(Shape.of(made.model), found.vocab_size, length) for length in (128, 1024))
    assert found.tokens == plain.tokens and found.flops == pytest.approx(16384 * (75 * short + 25 * long))
    assert found.seconds == pytest.approx(plain.seconds * found.flops / plain.flops)
    assert found.memory == plain.memory and found.largest_micro_batch == plain.largest_micro_batch
    assert found.course == ((0, 128, 128), (75, 16, 1024))


def test_a_horizon_in_time_has_no_such_changes(tmp_path, capsys):
    with pytest.raises(RecipeError, match="the run's length is not known"):
        planned("time: 1 min", WARMUP)
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.replace("LENGTH", "time: 1 min").replace("MORE", WARMUP))
    assert main(["plan", str(path), "--hardware", "h100", "--json", "--runs", str(tmp_path)]) == 2
    assert json.loads(capsys.readouterr().out)["where"] == "training.batch_warmup"
