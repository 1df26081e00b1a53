"""A batch that grows: every example once, whatever else changes on the way, and a resume that is exact."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_run import small_config, small_fit
from test_real_shards import BATCH, CONTEXT, parts, shards  # noqa: F401 - a fixture
from test_resume import StopAt, assert_same

from seedstock.errors import Interrupted, RecipeError
from seedstock.inputs.config import MixtureConfig
from seedstock.inputs.loader import Loader
from seedstock.inputs.plan import DataPlan
from seedstock.training.configs.batches import BatchWarmupConfig, examples_before
from seedstock.training.configs.training import TrainingConfig

WARMUP = {"over": "50 %", "first": "25 %", "phases": 3}


@given(
    st.one_of(st.integers(0, 80), st.floats(0, 1)),
    st.floats(0.01, 0.99),
    st.integers(1, 64),
    st.integers(1, 500),
    st.integers(1, 100),
)
def test_the_batch_only_grows_and_no_example_is_left_out(over, first, phases, full, steps):
    batches = BatchWarmupConfig(over=over, first=first, phases=phases).batches(full, steps)
    starts, sizes = zip(*batches, strict=True)
    assert starts[0] == 0 and list(starts) == sorted(set(starts)) and starts[-1] < steps
    assert list(sizes) == sorted(set(sizes)) and sizes[0] >= 1 and sizes[-1] <= full
    of = [max(size for start, size in batches if start <= step) for step in range(steps)]
    assert [examples_before(batches, step) for step in range(steps + 1)] == [0, *np.cumsum(of)]


def test_it_rises_evenly_in_phases_of_equal_length():
    batches = BatchWarmupConfig(over=40, first=0.2, phases=4).batches(100, 1000)
    assert batches == ((0, 20), (10, 40), (20, 60), (30, 80), (40, 100))


@pytest.mark.parametrize("tokens", [1, 1000, 12_345])
def test_a_run_of_so_many_tokens_has_as_many_steps_as_they_need(tokens):
    given = TrainingConfig(tokens=tokens, batch_examples=8, batch_warmup=WARMUP).resolved(16)
    assert given.examples(given.steps) * 16 >= tokens
    assert given.steps == 1 or given.examples(given.steps - 1) * 16 < tokens
    assert given.steps > TrainingConfig(tokens=tokens, batch_examples=8).resolved(16).steps or tokens < 200


MIXTURES = {
    "one": MixtureConfig(),
    "schedule": MixtureConfig(schedule=[{"from": 0}, {"from": "40 %", "temperature": 2}, {"from": "80 %"}]),
    "budgets": MixtureConfig(budgets={"source": {"python": 60 * CONTEXT}}),
}


@pytest.mark.parametrize("name", MIXTURES)
def test_steps_are_what_was_asked_for_and_each_window_comes_once(name, shards):  # noqa: F811
    steps, config = 20, small_config(steps=20, batch_examples=4, batch_warmup=WARMUP)
    mixture = MIXTURES[name]
    if name == "budgets":  # all of it, to the last example
        budget = {"source": {"python": config.examples(steps) * CONTEXT}}
        mixture = MixtureConfig(budgets=budget)
    plan = DataPlan.of(shards, mixture, seed=1, length=CONTEXT, batch=config.batches(), steps=steps)
    plan.require(steps)
    spans = [plan.examples(step) for step in range(steps)]
    assert [count for _, count in spans] == [1] * 3 + [2] * 3 + [3] * 4 + [4] * 10
    assert [first for first, _ in spans] == [0, *np.cumsum([count for _, count in spans])[:-1]]
    total = config.examples(steps)
    assert [plan.step(example) for example in range(total)] == [s for s, (_, n) in enumerate(spans) for _ in range(n)]
    found = plan.locate(np.arange(total))
    windows = set(zip(found.strata.tolist(), found.epochs.tolist(), found.starts.tolist(), strict=True))
    assert len(windows) == total
    for stratum, epoch, start in windows:  # what trace asks
        assert any(e == epoch for e, _ in plan.find(stratum, np.array([start]), total))
    assert DataPlan.from_json(plan.to_json()).fingerprint == plan.fingerprint


def warmed(shards, config):  # noqa: F811
    found = parts(shards)
    plan = DataPlan.of(shards, MixtureConfig(), seed=1, length=CONTEXT, batch=config.batches(), steps=config.steps)
    objective = found["objective"]
    found["loader"] = Loader(shards, plan, prepare=objective.prepare, raw_length=objective.raw_length, seed=1)
    return found


def test_a_resume_in_the_middle_of_it_is_bit_for_bit(tmp_path, shards):  # noqa: F811
    config = small_config(steps=12, checkpoint_every=20, batch_examples=BATCH, micro_batch=2, batch_warmup=WARMUP)
    whole = small_fit(tmp_path / "whole", config, **warmed(shards, config))
    with pytest.raises(Interrupted):
        small_fit(tmp_path / "cut", config, callbacks=[StopAt(5)], **warmed(shards, config))
    small_fit(tmp_path / "cut", config, **warmed(shards, config))
    assert_same(tmp_path / "whole", tmp_path / "cut")
    assert whole.examples == config.examples(12) == 2 * (1 + 2 + 3) + 6 * 4
    assert whole.tokens == whole.examples * CONTEXT


def test_it_needs_a_run_of_known_length(shards):  # noqa: F811
    config = TrainingConfig(time="1 min", batch_examples=8, batch_warmup=WARMUP)
    with pytest.raises(RecipeError, match="the run's length is not known"):
        config.batches()
    with pytest.raises(RecipeError, match="a batch that grows need a run of known length"):
        DataPlan.of(shards, MixtureConfig(), seed=1, length=CONTEXT, batch=[(0, 2), (5, 4)])
    with pytest.raises(ValueError, match="less than 1"):
        TrainingConfig(batch_warmup={"first": 1})
