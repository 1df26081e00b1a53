"""Budgets, caps and schedules of a mixture: what is asked for is what the plan gives, window for window."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from seedstock import recipe as recipes
from seedstock.corpus.selection.apportion import apportion
from seedstock.errors import DataError, RecipeError
from seedstock.inputs import plan as plans
from seedstock.inputs.budgets import repeats, segments
from seedstock.inputs.config import MixtureConfig
from seedstock.inputs.interleave import quotas, table
from seedstock.inputs.plan import DataPlan
from seedstock.inputs.realised import realised
from seedstock.inputs.shards import Stratum

LENGTH = 16


def stratum(number, tokens, source="a", domain="d", language="en", band=-1):
    return Stratum(number, source, domain, language, tokens, 1, tokens, band=band)


def made(strata, config, *, steps, batch=4, **shape):
    parts = segments(strata, config, length=LENGTH, batch=batch, steps=steps)
    given = {"max_repeats": config.max_repeats, "repeats": repeats(strata, config)}
    return DataPlan({one.stratum: one.tokens for one in strata}, parts, seed=1, **given, **shape)


def counts(plan, first, stop):
    return Counter(plan.locate(np.arange(first, stop)).strata.tolist())


def per_epoch(one):
    return -(-(one.tokens - 1) // LENGTH)


@st.composite
def mixtures(draw):
    """Strata of a few sources and languages, budgets for some sources, caps for some languages, perhaps phases."""
    names = draw(
        st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["en", "de"])), min_size=2, max_size=6, unique=True)
    )
    strata = [
        stratum(n, draw(st.integers(40, 4000)), source, language=language) for n, (source, language) in enumerate(names)
    ]
    sources = sorted({one.source for one in strata})
    budgets = {
        name: draw(st.integers(0, 3000)) for name in draw(st.lists(st.sampled_from(sources), unique=True, min_size=1))
    }
    caps = {
        name: draw(st.none() | st.integers(1, 6))
        for name in draw(st.lists(st.sampled_from(sorted({one.language for one in strata})), unique=True))
    }
    free = [name for name in sources if name not in budgets]
    phases = []
    for start in draw(st.sampled_from([[], [0], [0, 0.5], [0, 0.25, 0.8]])):
        weights = {free[0]: draw(st.floats(0.1, 0.9))} if len(free) > 1 else {}
        phases.append({"from": start, "weights": weights})
    return strata, MixtureConfig(
        by=["source"], budgets={"source": budgets}, repeats={"language": caps}, schedule=phases
    )


@settings(max_examples=80)
@given(
    mixture=mixtures(),
    steps=st.integers(8, 120),
    batch=st.integers(1, 6),
    block=st.integers(24, 80),
    whole=st.booleans(),
)
def test_budgets_are_exact_and_caps_are_never_exceeded(mixture, steps, batch, block, whole):
    strata, config = mixture
    small = pytest.MonkeyPatch()
    if not whole:  # as if the run were longer than one table may be
        small.setattr(plans, "WHOLE", 0)
    try:
        plan = made(strata, config, steps=steps, batch=batch, block=block)
        total = steps * batch
        found = counts(plan, 0, total)
    except DataError:
        assume(False)
    finally:
        small.undo()
    assert plan.steps() == steps and found.total() == total == plan.capacity
    for name, tokens in config.budgets["source"].items():
        windows = sum(found[one.stratum] for one in strata if one.source == name)
        assert tokens - LENGTH < windows * LENGTH <= tokens
    for one in strata:
        cap = config.repeats["language"].get(one.language, config.max_repeats)
        if cap is not None:
            assert found[one.stratum] <= cap * per_epoch(one)
    for segment, first, stop in zip(plan.segments, plan.starts, [*plan.starts[1:], total], strict=True):
        assert counts(plan, first, stop) == Counter({n: int(w) for n, w in segment.weights.items() if w})
    again = DataPlan.from_json(plan.to_json())
    assert again.fingerprint == plan.fingerprint


@given(
    weights=st.lists(st.floats(0, 10), min_size=1, max_size=6),
    total=st.integers(0, 200),
    caps=st.lists(st.integers(0, 100), min_size=6, max_size=6),
)
def test_shares_come_to_the_total_below_their_caps(weights, total, caps):
    caps = caps[: len(weights)]
    there = sum(cap for cap, weight in zip(caps, weights, strict=True) if weight > 0)
    if total > there:
        with pytest.raises(ValueError, match="are asked for"):
            apportion(total, weights, caps)
        return
    found = apportion(total, weights, caps)
    assert sum(found) == total and all(0 <= one <= cap for one, cap in zip(found, caps, strict=True))
    free = [n for n, (one, cap) in enumerate(zip(found, caps, strict=True)) if one < cap and weights[n] > 1e-3]
    for n in free:  # what no cap cuts off is in proportion
        for m in free:
            assert abs(found[n] / weights[n] - found[m] / weights[m]) <= 1 / weights[n] + 1 / weights[m] + 1e-6


@given(weights=st.lists(st.floats(0.01, 10), min_size=1, max_size=6), block=st.integers(8, 300))
def test_a_block_realises_its_quotas(weights, block):
    quota = quotas(weights, block)
    assert sum(quota) == block
    assert np.bincount(table(quota).strata, minlength=len(weights)).tolist() == list(quota)
    plan = DataPlan(
        dict.fromkeys(range(len(weights)), 10**6),
        [plans.Segment(0, dict(enumerate(weights)), LENGTH, 1)],
        seed=1,
        block=block,
    )
    for first in (0, block, 3 * block):
        assert counts(plan, first, first + block) == Counter(dict(enumerate(quota)))


def test_a_schedule_changes_the_weights_at_its_step():
    strata = [stratum(0, 10**5), stratum(1, 10**5, "b"), stratum(2, 10**5, "c", band=1)]
    config = MixtureConfig(
        by=["source"],
        schedule=[{"from": 0, "weights": {"c": 0}}, {"from": "80 %", "weights": {"c": "60 %"}}],
    )
    plan = made(strata, config, steps=1000)
    assert plan.starts == [0, 3200]
    assert counts(plan, 0, 3200)[2] == 0 and abs(counts(plan, 3200, 4000)[2] - 480) <= 1
    rows = {row["group"]: row for row in realised(plan, strata, ["source"], 4000)}
    assert rows["c"]["phases"] == pytest.approx([0, 0.6], abs=0.002)
    assert sum(row["share"] for row in rows.values()) == pytest.approx(1)
    assert sum(row["windows"] for row in rows.values()) == 4000


def test_bands_are_groups():
    strata = [stratum(n, 10**5, band=n) for n in range(3)]
    plan = made(strata, MixtureConfig(by=["band"], weights={"0": 0.5, "2": 0}), steps=100)
    assert counts(plan, 0, 400) == Counter({0: 200, 1: 200})


def test_what_a_plan_comes_to_is_told():
    strata = [stratum(0, 1601), stratum(1, 1601, "b"), stratum(2, 16_001, "c")]
    config = MixtureConfig(by=["source"], budgets={"source": {"a": 3200}}, repeats={"source": {"b": 1}})
    plan = made(strata, config, steps=100)
    rows = {row["group"]: row for row in realised(plan, strata, ["source"], 400)}
    assert rows["a"]["tokens"] == 3200 and rows["a"]["passes"] == pytest.approx(2, abs=0.01) and rows["a"]["cap"] == 4
    assert rows["b"]["cap"] == 1 and rows["b"]["passes"] <= 1


@pytest.mark.parametrize(
    ("config", "steps", "error", "message"),
    [
        ({"budgets": {"source": {"a": 100}}}, None, RecipeError, "known length"),
        ({"budgets": {"source": {"q": 100}}}, 10, DataError, "no group of source"),
        ({"budgets": {"source": {"a": 10**6}}}, 10, DataError, "the run reads 640"),
        ({"budgets": {"source": {"a": 320}}, "repeats": {"source": {"a": 1}}}, 10, DataError, "10 are left"),
        ({"budgets": {"source": {"a": 32, "b": 32}}}, 10, DataError, "the run reads 640"),
        ({"budgets": {"source": {"a": 32}, "language": {"en": 32}}}, 10, DataError, "two budgets"),
        ({"schedule": [{"from": 0}, {"from": 0.01}]}, 10, RecipeError, "two begin with the same"),
    ],
)
def test_mistakes_say_what_to_do(config, steps, error, message):
    strata = [stratum(0, 161), stratum(1, 161, "b")]
    with pytest.raises(error, match=message) as found:
        made(strata, MixtureConfig(**config), steps=steps)
    assert found.value.fix


def test_a_schedule_is_checked_and_comes_back_from_yaml():
    for wrong in ([{"from": 0.1}], [{"from": 0}, {"from": 0}], [{"from": 0}, {"from": 0.5}, {"from": 0.2}]):
        with pytest.raises(ValidationError, match="begin at 0 %"):
            MixtureConfig(schedule=wrong)
    with pytest.raises(ValidationError, match="none beside it"):
        MixtureConfig(schedule=[{"from": 0}], weights={"a": 0.5})
    text = "name: x\nsources: [{kind: text, name: t, path: x}]\ntraining: {%s}\nmixture:\n" + (
        "  schedule: [{from: 0 %%, weights: {t: 1}}, {from: 50 %%, temperature: 2}]\n  budgets: {source: {t: 2k}}\n"
    )
    for defaults in (True, False):
        recipe = recipes.parse(text % "steps: 10")
        assert recipes.parse(recipes.dump(recipe, defaults=defaults)).mixture == recipe.mixture
    with pytest.raises(RecipeError, match="known length"):
        recipes.parse(text % "time: 1 h")
