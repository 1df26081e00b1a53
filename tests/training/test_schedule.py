"""Schedules are pure functions of the step, with closed forms."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedstock.training.configs.schedule import ScheduleConfig
from seedstock.training.schedule import decay_start, factor

kinds = st.sampled_from(["wsd", "cosine", "linear", "constant"])
spans = st.one_of(st.integers(0, 60), st.floats(0, 1))


@given(
    kinds, spans, spans, st.floats(0, 1), st.sampled_from(["linear", "1-sqrt"]), st.integers(1, 50), st.integers(0, 60)
)
def test_factor_stays_between_final_and_one(kind, warmup, decay, final, shape, total, step):
    config = ScheduleConfig(kind=kind, warmup=warmup, decay=decay, final=final, shape=shape)
    value = factor(config, step, total)
    assert 0 <= value <= 1
    if step >= config.steps(config.warmup, total):
        assert value >= final - 1e-12
        assert factor(config, step + 1, total) <= value + 1e-12, "it never rises again after the warm-up"


def test_warm_up_rises_linearly_to_the_peak():
    config = ScheduleConfig(kind="constant", warmup=4)
    assert [factor(config, step, 10) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_cosine_follows_its_closed_form():
    config = ScheduleConfig(kind="cosine", warmup=10, final=0.1)
    for step in range(10, 100):
        expected = 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * (step - 10) / 90))
        assert factor(config, step, 100) == pytest.approx(expected, abs=1e-15)
    assert factor(config, 100, 100) == pytest.approx(0.1)


def test_wsd_holds_then_falls_over_the_last_share():
    linear = ScheduleConfig(kind="wsd", warmup=0, decay="20 %")
    assert decay_start(linear, 100) == 80
    assert [factor(linear, step, 100) for step in (0, 79, 80, 90, 99)] == pytest.approx([1, 1, 1, 0.5, 0.05])
    root = ScheduleConfig(kind="wsd", warmup=0, decay=20, shape="1-sqrt")
    assert factor(root, 85, 100) == pytest.approx(1 - math.sqrt(5 / 20))


def test_linear_falls_from_the_warm_up_to_the_end():
    config = ScheduleConfig(kind="linear", warmup=2)
    assert [factor(config, step, 6) for step in range(7)] == [0.5, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]


@pytest.mark.parametrize("text, steps", [("1 %", 10), ("0.25", 250), ("2k", 1000), (7, 7), (0.5, 500), (0, 0)])
def test_spans_are_shares_or_steps(text, steps):
    config = ScheduleConfig(warmup=text)
    assert config.steps(config.warmup, 1000) == steps


@pytest.mark.parametrize("bad", [1.5, -1, "120 %", "3 weeks"])
def test_a_span_that_is_neither_is_refused(bad):
    with pytest.raises(ValueError):
        ScheduleConfig(warmup=bad)
