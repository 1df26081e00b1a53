"""A change of length on the way: every token once an epoch, the same batches however they are made, and both traces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedstock.errors import DataError, RecipeError
from seedstock.inputs.config import MixtureConfig
from seedstock.inputs.loader import Loader
from seedstock.inputs.plan import DataPlan
from seedstock.inputs.realised import realised
from seedstock.inputs.segments import Segment
from seedstock.provenance.trace import trace_document, trace_step
from seedstock.training.configs.training import TrainingConfig

CONTEXT = 64


def planned(shards, steps, phases, mixture=None, batch=8, **training):
    config = TrainingConfig(steps=steps, batch_examples=batch, phases=phases, **training).resolved(CONTEXT)
    lengths = [(start, length) for start, _, length in config.course(CONTEXT)]
    given = {"seed": 1, "length": lengths, "batch": config.batches(), "steps": steps}
    return DataPlan.of(shards, mixture or MixtureConfig(max_repeats=None), **given), config


SHARES = st.lists(st.sampled_from([15, 30, 45, 60, 75]), max_size=2, unique=True).map(lambda found: [0, *sorted(found)])


@st.composite
def courses(draw):
    phases = []
    for share in draw(SHARES):
        length = draw(st.sampled_from([8, 16, 32, CONTEXT]))
        phases.append({"from": share / 100, "length": length, "batch_tokens": draw(st.none() | st.integers(64, 900))})
    phases[draw(st.integers(0, len(phases) - 1))]["length"] = CONTEXT
    warmup = draw(st.none() | st.just({"over": "30 %", "first": "25 %", "phases": 3}))
    return phases, warmup


@settings(max_examples=25, deadline=None)
@given(courses(), st.booleans(), st.integers(100, 300))
def test_no_token_is_lost_or_comes_twice_whatever_changes(shards, made, scheduled, steps):
    phases, warmup = made
    schedule = (
        [{"from": 0}, {"from": "35 %", "temperature": 3}, {"from": "70 %", "temperature": 1}] if scheduled else []
    )
    mixture = MixtureConfig(schedule=schedule, max_repeats=None)
    try:
        plan, config = planned(shards, steps, phases, mixture, batch_warmup=warmup)
    except RecipeError as error:
        assert "waits until step" in error.what and steps < 300
        return
    spans = [plan.examples(step) for step in range(steps)]
    assert [first for first, _ in spans] == [0, *np.cumsum([count for _, count in spans])[:-1]]
    total = sum(spans[-1])
    found = plan.locate(np.arange(total))
    of_step = np.repeat(np.arange(steps), [count for _, count in spans])
    assert [plan.step(example) for example in range(total)] == of_step.tolist()
    assert (found.lengths == [plan.length(step) for step in of_step]).all()
    # In whole epochs every token is an input once, in the last one at most once.
    epochs = {one.stratum: int(one.epochs) for one in plan.exposure(total)}
    for stratum, tokens in plan.strata.items():
        for epoch in range(epochs[stratum] + 1):
            own = (found.strata == stratum) & (found.epochs == epoch)
            times = np.zeros(tokens - 1, int)
            for start, length in zip(found.starts[own], found.lengths[own], strict=True):
                times[start : start + length] += 1
            assert (times == 1).all() if epoch < epochs[stratum] else times.max(initial=0) <= 1
    assert sum(one.tokens for one in plan.exposure(total)) == found.lengths.sum()
    # Steps have the length and the batch that was asked for, but for what waits, and the smaller step before a change.
    course = {start: (n, length) for start, n, length in config.course(CONTEXT)}
    asked = [course[max(start for start in course if start <= step)] for step in range(steps)]
    differs = sum(
        own != (count, plan.length(step)) for step, (own, (_, count)) in enumerate(zip(asked, spans, strict=True))
    )
    waits = len(plan.strata) * 16 * CONTEXT * len(course) / min(n * length for n, length in course.values())
    assert differs <= waits + len(course)
    assert DataPlan.from_json(plan.to_json()).fingerprint == plan.fingerprint


PHASES = [{"from": 0, "length": 16}, {"from": "40 %", "length": 64}, {"from": "80 %", "length": 32}]


@pytest.fixture(scope="module")
def changing(shards):
    return planned(shards, 200, PHASES)[0]


def test_tokens_a_step_stay_level(changing):
    sizes = {changing.length(step): changing.examples(step)[1] for step in (0, 120, 199)}
    assert sizes == {16: 32, 64: 8, 32: 16}
    begun = [changing.step(start) for start in changing.starts]
    assert begun[0] == 0 and 80 <= begun[1] < 120 and 160 <= begun[2] < 199
    assert changing.length(changing.fullest()) == 64 and changing.length(changing.fullest() - 1) == 16


def test_batches_are_the_same_for_any_worker_and_world(shards, changing):
    steps = sorted({0, 1, 199, *(changing.step(start) + n for start in changing.starts[1:] for n in (-2, -1, 0, 1))})
    whole = Loader(shards, changing)
    for step in steps:
        batch = whole.batch(step)
        assert batch["tokens"].shape == (changing.examples(step)[1], changing.length(step) + 1)
        parts = [Loader(shards, changing, rank=rank, world=3).batch(step) for rank in range(3)]
        for name in ("examples", "tokens", "documents", "digests"):
            assert np.array_equal(np.concatenate([part[name] for part in parts]), batch[name])
    first, last = steps[2], steps[-1] + 1
    for step, batch in zip(range(first, last), Loader(shards, changing).iterate(first, last), strict=True):
        assert np.array_equal(batch["digests"], whole.batch(step)["digests"])  # several steps made together


@pytest.mark.parametrize("partners", [0, 1])
def test_both_traces_answer_across_it(shards, changing, partners):
    # What each step read by the loader's own arrays, against what both questions say.
    edge = changing.step(changing.starts[1])
    steps = [edge - 2, edge - 1, edge, edge + 1, 198]
    seen = {}
    for step in steps:
        spans = trace_step(step, changing, shards, partners=partners)
        batch = Loader(shards, changing, partners=partners).batch(step)
        for example in set(batch["examples"].tolist()):
            rows = [span for span in spans if span.example == example]
            assert sum(span.stop - span.start for span in rows) <= (1 + partners) * (changing.length(step) + 1)
        for span in spans:
            seen.setdefault(span.document, set()).add(step)
        read = {
            shards.document_at("train", int(stratum), int(start))[0].hex()
            for stratum, start in zip(batch["strata"], batch["starts"], strict=True)
        }
        assert read <= {span.document for span in spans}
    for document in sorted(seen)[::7]:
        traced = trace_document(document, changing, shards, steps=200, partners=partners)
        assert {step for step in traced.steps if step in steps} == seen[document]


def test_what_a_mixture_comes_to_is_counted_in_tokens(shards, changing):
    total = sum(changing.examples(199))
    rows = realised(changing, shards.strata("train"), ["source"], total)
    located = changing.locate(np.arange(total))
    assert sum(row["tokens"] for row in rows) == located.lengths.sum()
    assert sum(row["share"] for row in rows) == pytest.approx(1) and all(len(row["phases"]) == 3 for row in rows)
    assert [sum(row["phases"][n] for row in rows) for n in range(3)] == pytest.approx([1, 1, 1])


def test_what_is_left_unfinished_by_a_weight_of_zero_is_finished_before_a_change():
    parts = [
        Segment(0, {0: 1.0, 1: 1.0}, 8, 4),
        Segment(40, {0: 0.0, 1: 1.0}, 8, 4),
        Segment(80, {0: 0, 1: 1.0}, 32, 1),
    ]
    plan = DataPlan({0: 2001, 1: 9001}, [*parts, Segment(600, {0: 1.0, 1: 0.0}, 32, 1)], seed=1, group=2)
    found = plan.locate(np.arange(700))
    own = (found.strata == 0) & (found.epochs == 0)
    times = np.zeros(2000, int)
    for start, length in zip(found.starts[own], found.lengths[own], strict=True):
        times[start : start + length] += 1
    assert (times == 1).all() and set(found.lengths[own]) == {8, 32} and (found.epochs[found.strata == 0] == 1).any()
    assert not (found.strata[40:80] == 0).any() and not (found.strata[plan.starts[2] : 600] == 0).any()


def test_what_cannot_be_is_said(shards):
    with pytest.raises(RecipeError, match=r"waits until step \d+.*the run ends after 12") as caught:
        planned(shards, 12, [{"from": 0, "length": 8}, {"from": "90 %", "length": 64}])
    assert caught.value.where == "training.phases" and "longer" in caught.value.fix
    with pytest.raises(RecipeError, match="the next one is at step 12"):
        planned(shards, 100, [{"from": 0, "length": 8}, {"from": "11 %", "length": 64}, {"from": "12 %", "length": 16}])
    with pytest.raises(RecipeError, match="budgets count windows of one length"):
        planned(shards, 99, PHASES, MixtureConfig(budgets={"source": {"python": 640}}))
    with pytest.raises(RecipeError, match="known length"):
        DataPlan.of(shards, MixtureConfig(), seed=1, length=[(0, 16), (9, 64)], batch=8)
    with pytest.raises(RecipeError, match="does not divide"):
        DataPlan.of(shards, MixtureConfig(), seed=1, length=[(0, 48), (50, 64)], batch=8, steps=99)
    with pytest.raises(DataError, match=r"give .* examples, which is"):
        planned(shards, 100_000, PHASES, MixtureConfig(max_repeats=1))
