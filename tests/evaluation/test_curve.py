"""The picture of the run, and how its labels keep apart."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seedstock.evaluation import events
from seedstock.evaluation.curve import apart, curve, smoothed

values = st.lists(st.floats(-100, 100), min_size=1, max_size=12)


@given(values, st.floats(0.01, 10))
def test_labels_keep_apart_and_stay_near(values, gap):
    values = sorted(values)
    places = np.array(apart(values, gap))
    assert (np.diff(places) >= gap - 1e-9).all()
    assert abs(places.mean() - np.mean(values)) < 1e-6
    if all(after - before >= gap for before, after in pairwise(values)):
        np.testing.assert_allclose(places, values, atol=1e-9)


def test_smoothing_passes_over_lost_losses():
    losses = np.array([5.0, np.nan, 5.0, 5.0, np.inf, 5.0] * 20)
    smooth = smoothed(losses, 0.2)
    assert set(smooth[np.isfinite(smooth)]) == {5.0} and np.isfinite(smooth[20:]).all()


def write_events(path, nan=False):
    lines = []
    for step in range(1, 61):
        value = float("nan") if nan and step == 30 else 9 / step**0.5 + 2
        lines.append({"event": "step", "step": step, "tokens": step * 1000, "loss": value})
        if step % 20 == 0:
            lines.append({"event": "validation", "step": step, "tokens": step * 1000, "bits_per_byte": 9 / step**0.5})
    path.write_text("\n".join(json.dumps(line) for line in lines))
    return path


def test_equal_events_give_an_equal_picture(tmp_path):
    path = write_events(tmp_path / "events.jsonl", nan=True)
    floors = {"bytes": {"orders": {"0": {"bits_per_byte": 4.5}, "1": {"bits_per_byte": 3.5}}}, "xz": {"alone": 2.2}}
    for picture in ("one.png", "two.png"):
        curve(path, tmp_path / picture, floors=floors, bytes_per_token=3.3, name="a run")
    data = (tmp_path / "one.png").read_bytes()
    assert data == (tmp_path / "two.png").read_bytes() and data.startswith(b"\x89PNG")
    curve(path, tmp_path / "other.png", bytes_per_token=3.3)
    assert (tmp_path / "other.png").read_bytes() != data


def test_any_state_of_a_run_has_a_picture(tmp_path):
    for number, text in enumerate(("", '{"event": "step", "step": 1, "tokens": 10, "loss": 5.0}\n')):
        (tmp_path / "events.jsonl").write_text(text)
        assert curve(tmp_path / "events.jsonl", tmp_path / f"{number}.png").stat().st_size > 1000
    assert curve(tmp_path / "missing.jsonl", tmp_path / "none.png").is_file()


def test_a_resumed_step_counts_once(tmp_path):
    lines = [{"event": "step", "step": step, "loss": loss} for step, loss in ((1, 3.0), (2, 2.0), (2, 2.5), (3, None))]
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\nnot json\n[1]\n")
    found = events.by_step(events.read(path, "step")["step"])
    np.testing.assert_array_equal(events.column(found, "loss"), [3.0, 2.5, np.nan])
