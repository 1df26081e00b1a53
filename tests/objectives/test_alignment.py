"""Objectives that know how good documents are, and where they are from: what they put in, and what they pull at."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent.parent / "models"))
from conformance import real_shards
from small_networks import lively

from seedstock.errors import RecipeError
from seedstock.inputs.keys import Keys
from seedstock.inputs.loader import windows
from seedstock.objectives.base import Spec, assemble
from seedstock.objectives.configs.metadata import MetadataConfig
from seedstock.objectives.configs.scored import RewardWeightedConfig, TagsConfig, UnlikelihoodConfig

SCORE = "letters.share"


def spec(config, **more):
    tokenizer, shards = real_shards(config.specials(), config.scores())
    known = {"specials": tokenizer.specials, "tokenizer": tokenizer, "shards": shards}
    return Spec(tokenizer.vocab_size, 48, **known, **more), shards


def stored(shards, rows=40, length=49, seed=0):
    """Windows from anywhere, several of them over the ends of documents."""
    random = np.random.default_rng(seed)
    strata = random.choice([stratum.stratum for stratum in shards.strata("train")], rows)
    ends = {stratum.stratum: stratum.tokens for stratum in shards.strata("train")}
    starts = np.array([random.integers(0, ends[stratum] - 2) for stratum in strata.tolist()])
    batch = windows(shards, "train", strata[:, None], starts[:, None], length)
    return {"examples": np.arange(rows), **batch}, Keys(1, np.arange(rows))


def losses(config, threshold, tokens, documents, scores, network):
    objective = config.model_copy(update={"threshold": threshold}).build()
    items = {"tokens": tokens, "documents": documents, "scores": scores[..., None]}
    items["positions"] = np.tile(np.arange(tokens.shape[1]), (len(tokens), 1))
    made = objective.prepare(items, Keys(1, np.arange(len(tokens))))
    batch = {name: torch.from_numpy(array) for name, array in made.items()} | {"examples": torch.arange(len(tokens))}
    nets = assemble(network, objective)
    sums, _ = objective.loss(nets, network.backbone(**objective.inputs(nets, batch)), batch)
    return sums, objective.counts(batch)


def example(network, rows=3, length=12, seed=0):
    random = np.random.default_rng(seed)
    tokens = random.integers(3, network.vocab_size, (rows, length))
    return tokens, np.zeros((rows, length), np.int64), np.repeat(random.random((rows, 1)), length, 1).astype(np.float32)


@pytest.mark.parametrize("alpha", [1.0, 0.25])
def test_unlikelihood_is_of_one_minus_the_probability_and_pulls_the_other_way(alpha):
    network = lively()
    tokens, documents, scores = example(network)
    scores[0], scores[1:] = 1, 0
    sums, counts = losses(UnlikelihoodConfig(score=SCORE, alpha=alpha), 0.5, tokens, documents, scores, network)
    assert {name: int(count) for name, count in counts.items()} == {"likelihood": 22, "unlikelihood": 11}
    sums["unlikelihood"].backward()
    found = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
    network.zero_grad()
    shown = torch.from_numpy(tokens)
    p = torch.softmax(network(shown[:1, :-1]), -1).gather(2, shown[:1, 1:, None])
    expected = -alpha * torch.log1p(-p).sum()
    expected.backward()
    torch.testing.assert_close(sums["unlikelihood"], expected, rtol=1e-4, atol=1e-5)
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-3, atol=1e-5)


def test_reward_weighted_regression_is_filtering_where_beta_is_small_and_the_mean_where_it_is_large():
    network = lively()
    tokens, documents, scores = example(network)
    scores[0], scores[1:] = 1, 0
    sums, counts = losses(RewardWeightedConfig(score=SCORE, beta=0.01), 0.0, tokens, documents, scores, network)
    shown = torch.from_numpy(tokens)
    nats = F.cross_entropy(network(shown[:, :-1]).transpose(1, 2), shown[:, 1:], reduction="none")
    mean = sums["reward-weighted"] / counts["reward-weighted"]
    torch.testing.assert_close(mean, nats[1:].mean(), rtol=1e-4, atol=1e-5)
    sums, counts = losses(RewardWeightedConfig(score=SCORE, beta=1e6), 0.0, tokens, documents, scores, network)
    mean = sums["reward-weighted"] / counts["reward-weighted"]
    torch.testing.assert_close(mean, nats.mean(), rtol=1e-4, atol=1e-5)


def test_a_weight_has_a_bound_and_is_one_without_a_score():
    network = lively()
    tokens, documents, scores = example(network)
    scores[0], scores[1], scores[2] = -1e30, np.nan, 0.5
    _, counts = losses(RewardWeightedConfig(score=SCORE, most=20), 0.5, tokens, documents, scores, network)
    assert float(counts["reward-weighted"]) == pytest.approx(11 * (20 + 1 + 1), rel=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(["below", "above"]), st.floats(0, 1))
def test_a_tag_stands_first_where_a_document_begins_and_second_where_it_goes_on(seed, side, untagged):
    config = TagsConfig(score=SCORE, good=side, threshold=0.6, untagged=untagged)
    told, shards = spec(config)
    items, keys = stored(shards, seed=seed)
    objective = config.build(told)
    made = objective.prepare(items, keys)
    ids = list(objective.tags.values())
    changed = made["tokens"] != items["tokens"]
    assert np.isin(made["tokens"][changed], ids).all() and (items["documents"][changed] >= 0).all()
    assert (items["positions"][changed] <= 1).all()
    begins = items["tokens"] == told.specials["bos"]
    assert not changed[(items["positions"] == 0) & ~begins].any()
    assert not changed[:, 1:][(items["positions"][:, 1:] == 1) & begins[:, :-1]].any()
    score = items["scores"][..., 0]
    good = score <= np.float32(0.6) if side == "below" else score >= 0.6
    for value, name in ((1, "good"), (0, "bad")):
        heads = made["tokens"] == told.specials[name]
        assert (good[heads] == bool(value)).all()
    targets = objective.targets({name: torch.from_numpy(array) for name, array in made.items()})
    assert not np.isin(targets.numpy(), ids).any()


def test_without_tags_it_is_next_token_prediction():
    config = TagsConfig(score=SCORE, threshold=0.6, untagged=1.0)
    told, shards = spec(config)
    items, keys = stored(shards)
    assert np.array_equal(config.build(told).prepare(items, keys)["tokens"], items["tokens"])


def test_a_tagged_network_reads_the_tag_where_training_has_it():
    config = TagsConfig(score=SCORE, threshold=0.6)
    told, _ = spec(config)
    objective = config.build(told)
    network = lively()
    objective.tags, objective.bos = {"good": 5, "bad": 6}, 1
    tokens = torch.tensor([[1, 9, 8, 7], [4, 9, 8, 7]])
    positions = torch.arange(4)[None]
    replaced = torch.tensor([[5, 9, 8, 7], [4, 5, 8, 7]])
    embedded = objective.tagged(network, "good").embed(tokens, positions)
    torch.testing.assert_close(embedded, network.embed(replaced, positions))
    tagged, plain = network.new_cache(1, 8), network.new_cache(1, 8)
    with torch.no_grad():
        for part in (tokens[:1], tokens[:1, 1:2]):  # only what comes first is replaced
            ours = objective.tagged(network, "good")(part, cache=tagged)
            theirs = network(replaced[:1] if part.shape[1] > 1 else part, cache=plain)
            torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(tokens[0], torch.tensor([1, 9, 8, 7]))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(["domain", "language"]), st.booleans())
def test_metadata_lines_add_nothing_to_what_is_predicted(seed, field, cooled):
    config = MetadataConfig(field=field, room=20, cooldown=0.5)
    told, shards = spec(config, examples=2 if cooled else 10**6)
    objective = config.build(told)
    items, keys = stored(shards, length=objective.raw_length(objective.window(48)), seed=seed)
    items, keys = {name: array[2:] for name, array in items.items()}, Keys(1, np.arange(2, 40))
    made = objective.prepare(items, keys)
    assert made["tokens"].shape == (38, 49)
    from seedstock.objectives import causal

    ours = objective.targets({name: torch.from_numpy(array) for name, array in made.items()})
    theirs = causal.targets({name: torch.from_numpy(items[name]) for name in ("tokens", "documents")})
    for row in range(38):
        mine, whole = ours[row][ours[row] >= 0].tolist(), theirs[row][theirs[row] >= 0].tolist()
        assert mine == whole[: len(mine)]
        if cooled:
            assert mine == whole
            size = len(whole)
            assert np.array_equal(made["tokens"][row, :size], items["tokens"][row, :size])
        elif (items["documents"][row] >= 0).any():
            value = shards.values[f"document.{field}"][int(items["scores"][row, 0, 0])]
            line = told.tokenizer.encode(f"{field}: {value}\n\n").tolist()
            at = int(items["tokens"][row, 0] == told.specials["bos"])
            assert made["tokens"][row, at : at + len(line)].tolist() == line


def test_a_cool_down_needs_a_length():
    told, _ = spec(MetadataConfig(field="domain"))
    with pytest.raises(RecipeError, match="known length"):
        MetadataConfig(field="domain").build(told)
    with pytest.raises(RecipeError, match="half of the context"):
        MetadataConfig(field="domain", room=40, cooldown=0).build(told)


def test_a_threshold_that_was_not_measured_is_named():
    config = TagsConfig(score=SCORE)
    with pytest.raises(RecipeError, match="not measured"):
        config.build(spec(config)[0])


@pytest.mark.parametrize("side", ["below", "above"])
@pytest.mark.parametrize("quantile", [0.25, 0.7])
def test_the_quantile_is_the_share_of_good_documents(side, quantile):
    config = TagsConfig(score=SCORE, good=side, quantile=quantile)
    _, shards = spec(config)
    told: list[str] = []
    threshold = config.measured(shards, told.append).threshold
    scores, _ = shards.document_scores("train", SCORE)
    good = scores <= threshold if side == "below" else scores >= threshold
    assert good.mean() == pytest.approx(quantile, abs=1.5 / len(scores)) and f"{good.mean():.1%}" in told[0]
