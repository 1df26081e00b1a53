"""Schedules are pure functions of the step, with closed forms."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedstock.training.configs.schedule import DecayScheduleConfig, ScheduleConfig
from seedstock.training.schedule import decay_factor, decay_start, factor

kinds = st.sampled_from(["wsd", "cosine", "linear", "constant", "inverse-sqrt", "one-cycle"])
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


def test_inverse_square_root_falls_as_the_paper_has_it():
    config = ScheduleConfig(kind="inverse-sqrt", warmup=4, final=0.25)
    # Vaswani et al., equation 3, with steps from 1: min(n^-0.5, n w^-1.5), over its value at w.
    expected = [min(n**-0.5, n * 4**-1.5) / 4**-0.5 for n in range(1, 65)]
    assert [factor(config, step, 1000) for step in range(64)] == pytest.approx(expected)
    assert factor(config, 900, 1000) == 0.25, "not below final"
    assert factor(ScheduleConfig(kind="inverse-sqrt", warmup=0), 8, 10) == pytest.approx(1 / 3)


def test_one_cycle_rises_and_falls_along_half_cosines():
    config = ScheduleConfig(kind="one-cycle", final=0.01)
    assert config.steps(config.warmup, 100) == 30, "a rise of 30 % where no other is asked for"
    assert factor(config, 29, 100) == factor(config, 30, 100) == 1
    assert factor(config, 14, 100) == pytest.approx((1 + 0.04) / 2)
    assert factor(config, 65, 100) == pytest.approx((1 + 0.01) / 2)
    rises = [factor(config, step, 100) for step in range(30)]
    assert rises == sorted(rises) and 0.04 < rises[0] < 0.05
    assert ScheduleConfig(kind="one-cycle", warmup=0.1).warmup == 0.1


def test_where_a_cycle_begins_means_nothing_elsewhere():
    with pytest.raises(ValueError, match="first has no meaning in a schedule of kind wsd"):
        ScheduleConfig(first=0.5)


@pytest.mark.parametrize("kind, middle", [("linear", 0.55), ("cosine", 0.55), ("constant", 0.1)])
def test_weight_decay_goes_from_its_first_to_its_final_share(kind, middle):
    config = DecayScheduleConfig(kind=kind, first=0.1)
    values = [decay_factor(config, step, 100) for step in range(101)]
    assert values[0] == 0.1 and values[50] == pytest.approx(middle) and values == sorted(values)
    assert values[100] == pytest.approx(0.1 if kind == "constant" else 1.0)
    assert {decay_factor(DecayScheduleConfig(), step, 7) for step in range(7)} == {1.0}


@pytest.mark.parametrize("text, steps", [("1 %", 10), ("0.25", 250), ("2k", 1000), (7, 7), (0.5, 500), (0, 0)])
def test_spans_are_shares_or_steps(text, steps):
    config = ScheduleConfig(warmup=text)
    assert config.steps(config.warmup, 1000) == steps


@pytest.mark.parametrize("bad", [1.5, -1, "120 %", "3 weeks"])
def test_a_span_that_is_neither_is_refused(bad):
    with pytest.raises(ValueError):
        ScheduleConfig(warmup=bad)
