"""The data plan is a bijection with its inverse, through weights, lengths, batches, caps and segments."""

from __future__ import annotations

import json
import pickle
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedstock.errors import DataError, RecipeError
from seedstock.inputs.config import MixtureConfig
from seedstock.inputs.plan import DataPlan
from seedstock.inputs.segments import Segment

SUPERBLOCK = 64


@st.composite
def plans(draw, *, zero=True, cap=st.none() | st.integers(1, 3)):
    """A plan over random streams, with random segments, each on a step boundary of the plan so far."""
    numbers = draw(st.lists(st.integers(0, 99), min_size=1, max_size=5, unique=True))
    tokens = {n: draw(st.integers(2, 2500) | st.integers(SUPERBLOCK * 3, SUPERBLOCK * 3 + 2)) for n in numbers}
    tokens[numbers[0]] += SUPERBLOCK
    shape = {"seed": draw(st.integers(0, 99)), "superblock": SUPERBLOCK, "group": draw(st.integers(1, 5))}
    shape |= {"block": draw(st.integers(8, 40)), "max_repeats": draw(cap)}
    weight = st.floats(0.01, 10) | (st.just(0.0) if zero else st.nothing())
    parts: list[Segment] = []
    plan = None
    for _ in range(draw(st.integers(1, 4))):
        weights = {n: draw(weight) for n in numbers}
        weights[draw(st.sampled_from(numbers))] = 1.0
        start = 0
        if plan is not None:
            try:
                start = plan.examples(plan.step(plan.starts[-1]) + draw(st.integers(1, 30)))[0]
            except DataError:
                break
        length, batch = draw(st.sampled_from([8, 16, 32, 64])), draw(st.integers(1, 7))
        parts.append(Segment(start, weights, length, batch))
        plan = DataPlan(tokens, parts, **shape)
    return plan


def horizon(plan, most=400):
    return most if plan.capacity is None else min(most, plan.capacity)


def rows(plan, count):
    found = plan.locate(np.arange(count))
    return list(zip(*(getattr(found, f).tolist() for f in ("strata", "epochs", "starts", "lengths")), strict=True))


@settings(max_examples=60, deadline=None)
@given(plan=plans(), data=st.data())
def test_the_inverse_finds_every_window_of_a_position_and_no_other(plan, data):
    stop = horizon(plan)
    located = rows(plan, stop)
    stratum = data.draw(st.sampled_from(list(plan.strata)))
    positions = data.draw(st.lists(st.integers(0, plan.strata[stratum] - 1), min_size=1, max_size=5))
    expected = [
        (epoch, example)
        for example, (s, epoch, start, length) in enumerate(located)
        if s == stratum and any(start <= p < start + length for p in positions if p < plan.strata[stratum] - 1)
    ]
    assert plan.find(stratum, np.array(positions), stop) == expected


@settings(max_examples=60, deadline=None)
@given(plan=plans())
def test_no_token_is_offered_twice_in_an_epoch(plan):
    seen = set()
    for stratum, epoch, start, length in rows(plan, horizon(plan)):
        assert start % length == 0 and 0 <= start < plan.strata[stratum] - 1
        for position in range(start, min(start + length, plan.strata[stratum] - 1)):
            assert (stratum, epoch, position) not in seen
            seen.add((stratum, epoch, position))


@settings(max_examples=60, deadline=None)
@given(plan=plans(zero=False, cap=st.integers(1, 3)))
def test_at_capacity_every_token_was_offered_max_repeats_times(plan):
    counts = Counter()
    for stratum, _, start, length in rows(plan, plan.capacity):
        counts.update((stratum, p) for p in range(start, min(start + length, plan.strata[stratum] - 1)))
    every = {(s, p) for s, tokens in plan.strata.items() for p in range(tokens - 1)}
    assert counts == dict.fromkeys(every, plan.max_repeats)
    assert all(entry.epochs == pytest.approx(plan.max_repeats) for entry in plan.exposure(plan.capacity))
    with pytest.raises(DataError, match=f"{plan.steps():,} steps"):
        plan.locate(np.array([plan.capacity]))
    with pytest.raises(DataError, match="steps"):
        plan.require(plan.steps() + 1)
    plan.require(plan.steps())


@settings(max_examples=60, deadline=None)
@given(plan=plans(), data=st.data())
def test_any_examples_in_any_order_are_located_alike(plan, data):
    stop = horizon(plan)
    wanted = np.array(data.draw(st.lists(st.integers(0, stop - 1), min_size=1, max_size=20)))
    fresh = DataPlan.from_json(json.loads(json.dumps(pickle.loads(pickle.dumps(plan)).to_json())))
    assert fresh.fingerprint == plan.fingerprint
    located, all_rows = fresh.locate(wanted), rows(plan, stop)
    assert [
        tuple(int(field[i]) for field in (located.strata, located.epochs, located.starts, located.lengths))
        for i in range(len(wanted))
    ] == [all_rows[example] for example in wanted]


@settings(max_examples=60, deadline=None)
@given(plan=plans())
def test_steps_cover_the_examples_and_have_one_length(plan):
    stop, example, step = horizon(plan), 0, 0
    lengths = plan.locate(np.arange(stop)).lengths
    while example < stop:
        first, count = plan.examples(step)
        assert first == example and count >= 1
        assert all(plan.step(number) == step for number in range(first, min(first + count, stop)))
        assert (lengths[first : first + count] == plan.length(step)).all()
        example, step = example + count, step + 1


@settings(max_examples=40, deadline=None)
@given(plan=plans())
def test_segments_begin_where_the_plan_says(plan):
    located = plan.locate(np.arange(horizon(plan)))
    for number, (segment, start) in enumerate(zip(plan.segments, plan.starts, strict=True)):
        assert start >= segment.example
        if number and segment.length == plan.segments[number - 1].length:
            assert start == segment.example
        stop = min([*plan.starts[number + 1 :], len(located.strata)])
        own = slice(start, min(stop, *(s.example for s in plan.segments[number + 1 :]), stop))
        assert (located.lengths[own] == segment.length).all()
        assert all(segment.weights[s] > 0 for s in located.strata[own].tolist())


@settings(max_examples=20, deadline=None)
@given(plan=plans(zero=False))
def test_what_was_offered_is_counted(plan):
    stop = horizon(plan)
    strata = plan.locate(np.arange(stop)).strata
    assert {e.stratum: e.examples for e in plan.exposure(stop)} == {s: int((strata == s).sum()) for s in plan.strata}


def test_epochs_and_seeds_have_orders_of_their_own():
    def order(seed):
        plan = DataPlan({0: 64 * 500 + 1}, [Segment(0, {0: 1.0}, 64, 1)], seed=seed)
        return plan.locate(np.arange(1000)).starts

    first, second, other = order(1)[:500], order(1)[500:], order(2)[:500]
    assert np.array_equal(np.sort(first), np.sort(second))
    for a, b in ((first, second), (first, other), (first, np.arange(500))):
        assert abs(np.corrcoef(a, b)[0, 1]) < 0.15


def test_mixtures_are_proportional_from_the_start():
    plan = DataPlan({0: 10**6, 1: 10**6}, [Segment(0, {0: 0.9, 1: 0.1}, 64, 8)], seed=1)
    counts = np.cumsum(plan.locate(np.arange(5000)).strata)
    assert np.abs(counts - 0.1 * np.arange(1, 5001)).max() < 1.1


def test_a_change_of_weights_keeps_the_place_whatever_the_horizon():
    parts = [Segment(0, {0: 1.0, 1: 1.0}, 64, 4), Segment(1000, {0: 3.0, 1: 1.0}, 64, 4)]
    long = DataPlan({0: 10**6, 1: 10**6}, parts, seed=1)
    short = DataPlan({0: 10**6, 1: 10**6}, parts[:1], seed=1)
    assert rows(long, 1000) == rows(short, 1000)
    for stratum in (0, 1):
        a, b = ([row[2] for row in rows(plan, 4000) if row[0] == stratum] for plan in (long, short))
        assert a[:1000] == b[:1000]


def test_mistakes_say_what_to_do():
    one = {0: 1.0}
    with pytest.raises(DataError, match="smaller than one window"):
        DataPlan({0: 64}, [Segment(0, one, 64, 1)], seed=1)
    with pytest.raises(DataError, match="smaller than one window"):
        DataPlan({}, [Segment(0, one, 64, 1)], seed=1)
    with pytest.raises(RecipeError, match="does not divide"):
        DataPlan({0: 999}, [Segment(0, one, 48, 1)], seed=1, superblock=64)
    with pytest.raises(RecipeError, match="example 0"):
        DataPlan({0: 999}, [Segment(1, one, 64, 1)], seed=1)
    with pytest.raises(DataError, match="does not begin with a step") as error:
        DataPlan({0: 9999}, [Segment(0, one, 64, 4), Segment(10, one, 64, 2)], seed=1)
    assert "8 or 12" in error.value.fix
    with pytest.raises(DataError, match="name strata"):
        DataPlan({0: 999}, [Segment(0, {7: 1.0}, 64, 1)], seed=1)
    with pytest.raises(DataError, match="30 examples, which is 7 steps"):
        DataPlan({0: 641}, [Segment(0, one, 64, 4)], seed=1, max_repeats=3).examples(8)
    with pytest.raises(DataError, match="30 examples"):
        DataPlan({0: 641}, [Segment(0, one, 64, 4), Segment(40, one, 64, 4)], seed=1, max_repeats=3)


def test_a_plan_from_shards_and_a_mixture(shards):
    plan = DataPlan.of(shards, MixtureConfig(), seed=1, length=128, batch=8, superblock=256)
    tokens = {s.stratum: s.tokens for s in shards.strata("train")}
    assert plan.strata == tokens and plan.superblock == 256
    assert plan.capacity == sum(4 * -(-(n - 1) // 128) for n in tokens.values())
