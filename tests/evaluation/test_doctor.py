"""Every check of the doctor: one case that makes it speak, one that keeps it quiet or content."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from seedstock.errors import DataError
from seedstock.evaluation.doctor import data, doctor, loss

RNG = np.random.default_rng(5)
NOISE = RNG.normal(0, 0.05, 400)
STEPS = np.arange(400)
HEALTHY = 3 + 6 * np.exp(-STEPS / 40) + NOISE
FLAT = 9 + NOISE
LINEAR = 9 - 4 * STEPS / 400 + NOISE
RISING = np.where(STEPS < 150, HEALTHY, 3 + (STEPS - 150) / 80 + NOISE)
BROKEN = np.where(STEPS < 300, HEALTHY, np.nan)
SPIKED = HEALTHY + np.where(STEPS == 250, 3.0, 0.0)
THROWN = np.where(STEPS < 1, 9.0, 9 + 60 * np.exp(-STEPS / 50) + NOISE)
RATES = np.where(STEPS < 300, 1.0, 1 - (STEPS - 299) / 101)
TOO_HIGH = np.where(STEPS < 300, 5 + 4 * np.exp(-STEPS / 20) + np.maximum(0, STEPS - 150) / 800, 0) + NOISE
TOO_HIGH = np.where(STEPS < 300, TOO_HIGH, 5 - 1.5 * (STEPS - 300) / 100 + NOISE)


@pytest.mark.parametrize(
    "check, ill, well",
    [
        (loss.not_finite, BROKEN, HEALTHY),
        (loss.diverged, RISING, HEALTHY),
        (loss.spikes, SPIKED, HEALTHY),
        (loss.rate_too_low, LINEAR, HEALTHY),
        (loss.thrown_off, THROWN, HEALTHY),
        (lambda losses: loss.rate_too_high(losses, RATES), TOO_HIGH, HEALTHY),
        (loss.gradient_norm, np.geomspace(1, 1000, 400), np.geomspace(5, 1, 400)),
        (loss.gradient_norm, np.where(STEPS == 7, np.inf, 1.0), np.ones(400)),
    ],
)
def test_checks_that_speak_only_of_what_is_wrong(check, ill, well):
    assert check(ill).level in ("problem", "warning") and check(ill).advice and check(ill).evidence
    assert check(well) is None
    assert check(well[:3]) is None  # too little to say anything


@pytest.mark.parametrize(
    "ill, well",
    [
        (loss.first_loss(12.0, 9.0), loss.first_loss(9.2, 9.0)),
        (loss.first_loss(7.0, 9.0), loss.first_loss(8.8, 9.0)),
        (loss.falling(FLAT), loss.falling(HEALTHY)),
        (data.data_wait(np.full(9, 0.5), np.ones(9)), data.data_wait(np.full(9, 0.01), np.ones(9))),
        (data.gap(np.array([3, 2, 1.5, 2.0])), data.gap(np.array([3, 2, 1.5, 1.501]))),
        (data.train_gap(1.0, 2.0), data.train_gap(1.0, 1.05)),
        (
            data.floor_reached(2.5, {0: 4.6, 1: 3.6, 2: 2.7, 3: 2.2}),
            data.floor_reached(2.1, {0: 4.6, 1: 3.6, 2: 2.7, 3: 2.2}),
        ),
        (data.floor_reached(5.0, {0: 4.6, 1: 3.6}), data.floor_reached(3.5, {0: 4.6, 1: 3.6})),
        (
            data.shared_clusters(np.array([-1, 4, 4, 7]), ["train", "train", "held_out", ""]),
            data.shared_clusters(np.array([-1, 4, 4, 4]), ["held_out", "train", "train", ""]),
        ),
    ],
)
def test_checks_that_also_speak_of_what_is_well(ill, well):
    assert ill.level in ("problem", "warning") and ill.advice
    assert well.level == "good" and well.evidence


def test_an_expected_loss_of_zero_is_compared_all_the_same():
    assert loss.first_loss(0.0, 0.0).level == "good"
    assert loss.first_loss(0.5, 0.0).level == "warning"
    assert loss.first_loss(-0.5, 0.0).level == "problem"


def test_levels_of_repeats_and_of_horizon():
    assert data.repeats(5e6, 1e6).level == "warning"
    assert data.repeats(1e5, 1e6).level == "note" and data.repeats(1, 0) is None
    assert data.undertrained(1e6, 10**6).level == "note"
    assert data.undertrained(2e7, 10**6).level == "good"


def test_the_floor_says_which_order():
    floors = {0: 4.6, 1: 3.6, 2: 2.7, 3: 2.2}
    assert "order 2 but not of order 3" in data.floor_reached(2.5, floors).what
    assert "not even" in data.floor_reached(4.7, floors).what and data.floor_reached(4.7, floors).level == "problem"
    assert data.floor_reached(4.7, {}) is None


def test_healthy_numbers_give_no_false_alarm():
    """Noise alone fires nothing, at many seeds."""
    for seed in range(50):
        noise = np.random.default_rng(seed).normal(0, 0.1, 300)
        losses = 3 + 6 * np.exp(-np.arange(300) / 40) + noise
        for check in (loss.not_finite, loss.diverged, loss.spikes, loss.rate_too_low):
            assert check(losses) is None
        assert loss.rate_too_high(losses, np.minimum(1, (300 - np.arange(300)) / 60)) is None


def write_run(folder, losses, /, **scores):
    (folder / "evaluation").mkdir(parents=True)
    lines = [{"event": "expect", "first": {"causal": math.log(8192)}, "tolerance": 0.05}]
    for step, value in enumerate(losses, 1):
        lines.append({"event": "step", "step": step, "tokens": step * 2048, "loss": value, "grad_norm": 1.0})
        lines[-1] |= {"learning_rate": 1.0, "seconds": 0.5, "waited": 0.001}
    text = "\n".join(json.dumps(line) for line in lines) + '\n{"event": "step", "st'  # cut off by a crash
    (folder / "events.jsonl").write_text(text)
    held_out = {"bits_per_byte": 2.5, "nats_per_token": 3.1, "bytes": 1000}
    (folder / "evaluation/scores.json").write_text(json.dumps({"held_out": held_out, "parameters": 4_000_000} | scores))
    orders = {str(order): {"bits_per_byte": value} for order, value in enumerate([4.6, 3.6, 2.7])}
    floors = {"held_out": {"bytes": 1000}, "bytes": {"orders": orders}}
    (folder / "evaluation/floors.json").write_text(json.dumps(floors))


def test_a_healthy_run(tmp_path):
    losses = HEALTHY.copy()
    losses[0] = math.log(8192)
    write_run(tmp_path, losses)
    found = doctor(tmp_path)
    assert not [one for one in found if one.level in ("problem", "warning")]
    assert {one.level for one in found} == {"note", "good"}
    assert any("beats every count model" in one.what for one in found)
    json.dumps([one.record() for one in found])


def test_where_no_one_can_say_what_a_loss_begins_at_nothing_is_said_of_it(tmp_path):
    write_run(tmp_path, HEALTHY)
    events = tmp_path / "events.jsonl"
    events.write_text(events.read_text().replace(json.dumps({"causal": math.log(8192)}), "{}"))
    assert not [one for one in doctor(tmp_path) if "first loss" in one.what]


def test_a_sick_run_names_the_worst_first(tmp_path):
    write_run(tmp_path, BROKEN)
    found = doctor(tmp_path)
    assert found[0].level == "problem" and "not a number" in found[0].what


def test_scores_of_other_bytes_are_not_compared(tmp_path):
    write_run(tmp_path, HEALTHY, held_out={"bits_per_byte": 1.0, "nats_per_token": 3.1, "bytes": 999})
    found = doctor(tmp_path)
    assert any("not of the same bytes" in one.what for one in found)
    assert not any("count model" in one.what for one in found)


@pytest.mark.parametrize("hidden, right, level", [(6.31, 0.9, "problem"), (5.0, 0.5, "problem"), (5.0, 0.9, "good")])
def test_a_model_that_does_not_predict_the_next_token_is_held_against_where_it_collapses(
    tmp_path, hidden, right, level
):
    expected = {"collapse": "only single tokens", "collapse_at": {"hidden": "order 0", "gone": "order 9"}}
    own = {
        "held_out": {"bits_per_byte": None, "nats_per_token": None, "loss": 6.0},
        "losses": {"masked": {"mean": 6.0}},
        "metrics": {"hidden": {"mean": hidden}, "right": {"mean": right}},
        "expected": expected | {"collapse_below": {"right": 0.5}},
    }
    write_run(tmp_path, HEALTHY, **own)
    floors = {"tokens": {"orders": {"0": {"nats_per_token": 6.3}}}}
    (tmp_path / "evaluation/floors.json").write_text(json.dumps(floors))
    found = [one for one in doctor(tmp_path) if "collapsed" in one.what]
    assert len(found) == 2 and found[0].level == level, "the worst comes first; a floor not measured is not judged"
    if level == "problem":
        assert "only single tokens" in found[0].advice


def test_the_held_out_loss_of_an_objective_of_its_own_may_rise_too(tmp_path):
    write_run(tmp_path, HEALTHY)
    with (tmp_path / "events.jsonl").open("a") as file:
        for step, value in ((100, 4.0), (200, 3.0), (300, 3.5)):
            file.write("\n" + json.dumps({"event": "validation", "step": step, "loss": value}))
    assert any("overfits" in one.what for one in doctor(tmp_path))


def test_a_run_that_stopped_itself_says_where(tmp_path):
    write_run(tmp_path, HEALTHY[:30])
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write("\n" + json.dumps({"event": "not_finite", "step": 31, "what": "loss", "examples": [1, 2]}) + "\n")
    found = doctor(tmp_path)
    assert found[0].level == "problem" and "step 31" in found[0].evidence and "--step 31" in found[0].advice


def test_nothing_trained_is_said(tmp_path):
    with pytest.raises(DataError, match="nothing was trained"):
        doctor(tmp_path)


def test_a_loss_that_is_not_the_texts_own_is_not_held_against_held_out_text(tmp_path):
    """A distilled student's loss is a part of the text's, and of what a teacher says: its ``nats`` are compared."""
    write_run(tmp_path, np.linspace(9, 1.9, 100))
    path = tmp_path / "events.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()[:-1]]
    told = [finding.what for finding in doctor(tmp_path)]
    assert "held-out text is much harder than training text" in told
    path.write_text("\n".join(json.dumps(line | {"nats": line.get("loss", 0) + 1.2}) for line in lines))
    told = [finding.what for finding in doctor(tmp_path)]
    assert "held-out text is hardly harder than training text" in told
