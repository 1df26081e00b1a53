"""``seedstock plan`` and the check before a training, by the command line and by what they say."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from seedstock import learning, machine
from seedstock.cli import main
from seedstock.errors import RecipeError
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.planning.memory import ROOM
from seedstock.training.configs.parallel import Degrees
from seedstock.training.configs.training import TrainingConfig


def planned(capsys, *options):
    code = main(["plan", "quickstart", "--hardware", "h100", "--json", *options])
    return code, json.loads(capsys.readouterr().out)


def test_memory_cost_and_layout_are_planned(capsys, tmp_path):
    code, found = planned(capsys, "--devices", "8", "--price", "2", "--runs", str(tmp_path))
    assert code == 0 and found["layout"] == {"data": 8} and found["largest_micro_batch"] > 1
    assert found["dollars"] == pytest.approx(2 * found["device_hours"])
    assert set(found["memory"]) >= {"weights", "gradients", "optimizer", "activations"}
    code, less = planned(capsys, "--memory", "300 MB", "--runs", str(tmp_path))
    assert code == 0 and less["largest_micro_batch"] < found["largest_micro_batch"]
    code, none = planned(capsys, "--memory", "1 MB", "--runs", str(tmp_path))
    assert code == 0 and none["layout"] is None and "takes" in none["advice"]


def test_the_layout_of_the_recipe_is_planned_where_it_has_one(capsys, tmp_path):
    options = ("--devices", "8", "--runs", str(tmp_path), "--set", "training.parallel={shard: 8}")
    code, own = planned(capsys, *options)
    _, best = planned(capsys, *options[:-2])
    assert code == 0 and own["layout"] == {"shard": 8} and best["layout"] == {"data": 8}
    assert own["memory"]["optimizer"] * 8 == pytest.approx(best["memory"]["optimizer"], abs=8)
    between = round((own["peak_memory"] + best["peak_memory"]) / 2 / ROOM)
    _, tight = planned(capsys, *options[:-1], "training.parallel={data: 8}", "--memory", str(between))
    assert tight["layout"] is None and "not as training.parallel says; shard 8 would do" in tight["advice"]


@pytest.mark.parametrize("wrong", [("--memory", "much"), ("--memory", "0"), ("--price", "-1"), ("--price", "nan")])
def test_bad_options_are_named(capsys, wrong):
    code, found = planned(capsys, *wrong)
    assert code == 2 and found["where"] == wrong[0]


def test_a_training_that_cannot_fit_is_refused_before_it_begins(monkeypatch):
    def run(**training):
        config = TrainingConfig(steps=1, batch_examples=4, **training)
        recipe = SimpleNamespace(model=DecoderConfig(width=512, layers=8, heads=8), training=config)
        return SimpleNamespace(recipe=recipe, vocab_size=8192)

    monkeypatch.setattr(machine, "memory", lambda: ("cpu", 2**34))
    learning.insist_on_room(run(), Degrees(), 1)
    monkeypatch.setattr(machine, "memory", lambda: ("cpu", 2**28))
    with pytest.raises(RecipeError, match="too little memory") as caught:
        learning.insist_on_room(run(), Degrees(), 1)
    assert "one example on one device takes" in caught.value.fix
