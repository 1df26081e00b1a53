"""Lengths and batches that change on the way: the course, and a training across it that stays exact."""

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_run import small_config, small_fit
from test_real_shards import CONTEXT, VOCABULARY, shards  # noqa: F401 - a fixture
from test_resume import StopAt, assert_same

from seedstock import recipe
from seedstock.errors import Interrupted, RecipeError
from seedstock.inputs.config import MixtureConfig
from seedstock.inputs.loader import Loader, step_digest
from seedstock.inputs.plan import DataPlan
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.objectives.configs.causal import CausalConfig
from seedstock.training import measure
from seedstock.training.configs.parallel import ParallelConfig, check
from seedstock.training.configs.training import TrainingConfig
from seedstock.training.parallel.part import Part

PHASES = [{"from": 0, "length": 8}, {"from": "50 %", "length": 32}]
STEPS = 40


@st.composite
def courses(draw):
    shares = sorted({0, *draw(st.lists(st.integers(1, 9), max_size=3))})
    sizes = st.none() | st.integers(1, 500)
    phases = [
        {"from": share / 10, "length": draw(st.none() | st.sampled_from([4, 8, 16])), "batch_tokens": draw(sizes)}
        for share in shares
    ]
    return phases, draw(st.none() | st.fixed_dictionaries({"over": st.floats(0, 1), "first": st.floats(0.1, 0.9)}))


@given(courses(), st.integers(1, 40), st.integers(10, 90))
def test_a_course_is_what_was_written(made, batch, steps):
    phases, warmup = made
    config = TrainingConfig(steps=steps, batch_examples=batch, phases=phases, batch_warmup=warmup).resolved(16)
    assert config.resolved(16) == config
    course = config.course(16)
    assert course[0][0] == 0 and all(a[0] < b[0] < steps and a[1:] != b[1:] for a, b in pairwise(course))
    tokens = []
    for step in range(steps):
        _, examples, length = next(one for one in reversed(course) if one[0] <= step)
        wanted = next(one for one in reversed(phases) if int(round(one["from"] * steps, 6)) <= step)
        full = max(1, round((wanted["batch_tokens"] or batch * 16) / (wanted["length"] or 16)))
        assert length == (wanted["length"] or 16) and 1 <= examples <= full and (warmup or examples == full)
        tokens.append(examples * length)
    assert config.reads(16) == sum(tokens)
    ends = [*(start for start, *_ in course[1:]), steps]
    assert config.examples(steps) == sum(n * (end - start) for (start, n, _), end in zip(course, ends, strict=True))


@given(courses(), st.integers(1, 20), st.integers(1, 50_000))
def test_a_run_of_so_many_tokens_has_as_many_steps_as_they_need(made, batch, tokens):
    phases, warmup = made
    try:
        config = TrainingConfig(tokens=tokens, batch_examples=batch, phases=phases, batch_warmup=warmup).resolved(16)
    except RecipeError as error:
        assert "two begin with the same one" in error.what
        return
    if warmup is None and len({phase.batch_tokens for phase in config.phases}) == 1:
        assert config.steps == max(1, round(tokens / config.phases[0].batch_tokens))
    else:
        assert config.reads(16) >= tokens
        fewer = config.model_copy(update={"steps": config.steps - 1})
        assert config.steps <= max(len(phases), 1) or fewer.reads(16) < tokens or fewer.steps * 16 * batch < tokens


def parts(shards, config):  # noqa: F811
    resolved = config.resolved(CONTEXT)
    lengths = [(start, length) for start, _, length in resolved.course(CONTEXT)]
    given = {"seed": 1, "length": lengths, "batch": resolved.batches(), "steps": config.steps}
    plan = DataPlan.of(shards, MixtureConfig(), **given)
    objective = CausalConfig().build()
    loader = Loader(shards, plan, prepare=objective.prepare, raw_length=objective.raw_length, seed=1)
    network = DecoderConfig(shape="plain", width=32, layers=2, heads=2, context=CONTEXT).build(VOCABULARY)
    return {"config": resolved, "loader": loader, "objective": objective, "network": network}


def asked(**changes):
    return small_config(**{"steps": STEPS, "checkpoint_every": 100, "phases": PHASES, "batch_examples": 4} | changes)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, shards):  # noqa: F811
    folder = tmp_path_factory.mktemp("whole")
    return folder, small_fit(folder, **parts(shards, asked(micro_batch=4)))


def test_training_reads_the_plan(whole, shards):  # noqa: F811
    _, result = whole
    loader, digest, sizes = parts(shards, asked())["loader"], "", []
    for step in range(STEPS):
        batch = loader.batch(step)
        digest = step_digest(digest, batch["examples"], batch["digests"])
        sizes.append((len(batch["examples"]), batch["tokens"].shape[1] - 1))
    assert result.digest == digest and {(16, 8), (4, 32)} <= set(sizes) and sizes[0] == (16, 8) and sizes[-1] == (4, 32)
    changed = [size == (4, 32) for size in sizes].index(True)
    assert 20 <= changed < 30 and set(sizes[: changed - 1]) == {(16, 8)} and set(sizes[changed:]) == {(4, 32)}
    assert result.tokens == sum(n * length for n, length in sizes)
    assert result.losses[-1] < 4 < 5.5 < result.losses[0]


@pytest.mark.parametrize("after", [0, 1])
def test_a_resume_beside_the_change_is_bit_for_bit(tmp_path, whole, shards, after):  # noqa: F811
    plan = parts(shards, asked())["loader"].plan
    stop = plan.step(plan.starts[1]) + after  # the last step before the change, and the first one after it
    with pytest.raises(Interrupted):
        small_fit(tmp_path, callbacks=[StopAt(stop)], **parts(shards, asked(micro_batch=4)))
    small_fit(tmp_path, **parts(shards, asked(micro_batch=4)))
    assert_same(whole[0], tmp_path)


def test_micro_batches_hold_as_many_tokens_at_any_length(tmp_path, whole, shards, monkeypatch):  # noqa: F811
    _, result = whole
    found = parts(shards, asked(micro_batch=1))
    rows = []
    forward = type(found["network"]).embed

    def embed(self, tokens, *args):
        rows.append(tuple(tokens.shape))
        return forward(self, tokens, *args)

    monkeypatch.setattr(type(found["network"]), "embed", embed)
    split = small_fit(tmp_path, **found)
    assert {shape for shape in rows if shape[0] > 1 or shape[1] == 32} >= {(4, 8), (1, 32)} and max(rows)[0] == 4
    assert split.digest == result.digest
    np.testing.assert_allclose(split.losses, result.losses, rtol=0, atol=2e-3)


def test_flops_are_counted_at_the_length_that_was_read(whole, shards):  # noqa: F811
    _, result = whole
    found = parts(shards, asked())
    work = 0.0
    for step in range(STEPS):
        n, length = found["loader"].plan.examples(step)[1], found["loader"].plan.length(step)
        work += n * length * measure.flops_a_token(found["network"], length)
    assert result.flops_a_token * result.tokens == pytest.approx(work)
    short, long = (measure.flops_a_token(found["network"], length) for length in (8, 32))
    assert short < result.flops_a_token < long
    state = json.loads((result.checkpoint / "state.json").read_text())
    assert state["flops"] == pytest.approx(work)


@pytest.mark.parametrize("parts_", [2, 3])
def test_other_worlds_read_the_same(shards, parts_):  # noqa: F811
    loader = parts(shards, asked())["loader"]
    change = loader.plan.step(loader.plan.starts[1])
    for step in range(change - 2, change + 2):
        made = [Part(loader, part, parts_).batch(step) for part in range(parts_)]
        batch = loader.batch(step)
        assert np.array_equal(np.concatenate([one["tokens"] for one in made]), batch["tokens"])


RECIPE = """\
name: small
sources: [{kind: text, name: a, path: nowhere}]
model: {kind: decoder, context: 64, width: 32, layers: 2, heads: 2, mlp_width: 64}
training: {steps: 100, phases: [{from: 0, length: 16}, {from: 50 %, length: 64}]}
"""


def test_a_recipe_keeps_them():
    read = recipe.parse(RECIPE)
    assert recipe.parse(recipe.dump(read)) == read
    resolved = read.model_copy(update={"training": read.training.resolved(64)})
    again = recipe.parse(recipe.dump(resolved))
    assert again.training.phases == resolved.training.phases and again.training.lengths == (16, 64)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("length: 64", "length: 128", "a length of 128 is beyond model.context, 64"),
        ("length: 16", "length: 24", "a length of 24 does not divide model.context"),
        ("length: 64", "length: 32", "none is as long as model.context, 64"),
        ("steps: 100", "time: 1 min", "training.time is measured"),
        ("from: 0,", "from: 10 %,", "begin at 0 %"),
        ("from: 50 %", "from: 0 %", "follow each other"),
        ("length: 16", "length: 0", "greater than or equal to 1"),
        ("from: 50 %", "from: 100 %", "less than 1"),
        ("training:", "mixture: {budgets: {source: {a: 1M}}}\ntraining:", "count windows of one length"),
        ("training:", "objective: {kind: distillation, teacher: 'run:t', stored: 8}\ntraining:", "one length"),
    ],
)
def test_bad_input_is_named(old, new, words):
    with pytest.raises(RecipeError, match=words) as caught:
        recipe.parse(RECIPE.replace(old, new))
    assert caught.value.fix


def test_lengths_that_a_layout_does_not_cut_are_refused():
    model = DecoderConfig(width=32, layers=2, heads=2, context=64).resolved()
    assert check(ParallelConfig(context=8), 8, model=model, lengths=(16, 64)).context == 8
    with pytest.raises(RecipeError, match="a length is 4, which context 8 does not divide"):
        check(ParallelConfig(context=8), 8, model=model, lengths=(4, 64))


def test_other_items_than_tokens_have_one_shape():
    text = RECIPE.replace("model: {kind: decoder, context: 64, width: 32, layers: 2, heads: 2, mlp_width: 64}", "")
    text += "input: {kind: images}\nobjective: {kind: mae}\n"
    text += "model: {kind: vision, shape: vit, image: 32, patch: 8, width: 32, layers: 1, heads: 2}\n"
    with pytest.raises(RecipeError, match="items of one shape"):
        recipe.parse(text)
