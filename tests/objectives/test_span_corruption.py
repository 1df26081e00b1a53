"""Span corruption: the paper's lengths and statistics, texts that come back, and targets that nothing gives away."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from real_windows import spec, trained
from small_readers import CONTEXT, made, run, small, tensors

from seedstock.errors import RecipeError
from seedstock.inputs.keys import Keys
from seedstock.objectives import spans
from seedstock.objectives.base import Spec
from seedstock.objectives.configs.span_corruption import Denoiser, SpanCorruptionConfig, Ul2Config
from seedstock.objectives.span_corruption import _lengths

T5, UL2 = SpanCorruptionConfig(), Ul2Config()


def plain(config, context, **more):
    """An objective over 1,000 tokens, its specials above them."""
    names = [*config.specials(), "bos", "eos", "pad"]
    specials = {name: 1000 + number for number, name in enumerate(names)}
    return config.build(Spec(1000 + len(names), context, specials, model=small(context=context).filled(), **more))


def windows(length, rows, seed=0):
    tokens = np.random.default_rng(seed).integers(0, 1000, (rows, length))
    return {"tokens": tokens, "documents": np.zeros_like(tokens)}, Keys(seed, np.arange(rows))


def test_568_tokens_make_a_source_of_512_and_a_target_of_114():
    objective = plain(T5, 512)
    assert objective.window(512) == objective.raw_length(568) == 568
    items, keys = windows(568, 8)
    batch = objective.prepare(items, keys)
    assert batch["source"].shape == (8, 512) and batch["targets"].shape == (8, 114)
    assert (batch["source_documents"] == 0).all() and (batch["targets"] >= 0).all()
    assert batch["hidden"].sum(1).tolist() == [85] * 8


@given(st.integers(0, 300), st.floats(0.02, 0.9), st.one_of(st.none(), st.floats(1, 70)), st.integers(0, 2**31))
@settings(max_examples=150)
def test_source_and_target_are_the_text(length, rate, mean_span, seed):
    lengths = np.array([length, length // 2, max(length - 1, 0)])
    tokens = np.random.default_rng(seed).integers(0, 50, (3, max(length, 1)))
    hidden, counts = spans.amounts(lengths, rate, mean_span)
    keys = Keys(seed, np.arange(3))
    draws = keys.uniform("a", tokens.shape[1]), keys.uniform("b", tokens.shape[1])
    chosen = spans.hide(lengths, hidden, counts, draws)
    sentinels = range(100, 100 + int(counts.max(initial=0)) + 1)
    widths = int(lengths.max() + counts.max()) + 1, int(hidden.max() + counts.max()) + 1
    seen, asked = spans.behind_sentinels(tokens, lengths, chosen, sentinels, widths)
    assert (chosen.sum(1) == hidden).all()
    assert (chosen & ~np.pad(chosen, ((0, 0), (1, 0)))[:, :-1]).sum(1).tolist() == counts.tolist()
    assert not chosen[:, 0].any()
    for row in range(3):
        one, other = (array[row][array[row] >= 0].tolist() for array in (seen, asked))
        assert spans.join(one, other, sentinels) == tokens[row, : lengths[row]].tolist()
        assert len(one) == lengths[row] - hidden[row] + counts[row] and len(other) == hidden[row] + counts[row]


def test_every_list_of_parts_is_as_likely():
    sizes = spans.parts(Keys(1, np.arange(12_000)).uniform("a", 5), np.full(12_000, 5), np.full(12_000, 3), 3)
    found = {tuple(row): count for row, count in zip(*np.unique(sizes, axis=0, return_counts=True), strict=True)}
    assert len(found) == math.comb(4, 2) and sum(map(sum, found)) == 5 * 6
    assert list(found.values()) == pytest.approx([2000] * 6, abs=180)


def test_statistics_are_those_of_the_paper():
    objective = plain(T5, 512)
    items, keys = windows(568, 200)
    tokens = objective.prepare(items, keys)["targets"]
    marks = np.isin(tokens, objective.sentinels)
    lengths = np.diff(np.flatnonzero(np.append(marks[:, :-1].ravel(), True))) - 1
    assert marks.sum(1).tolist() == [28] * 200
    assert lengths.mean() == pytest.approx(85 / 28) and lengths.min() == 1 and lengths.max() > 8


def test_a_mixture_has_every_denoiser_as_often_and_fits_the_context():
    objective = plain(UL2, 128)
    length = objective.window(128)
    items, keys = windows(length, 1400)
    batch = objective.prepare(items, keys)
    modes = batch["source"][:, 0]
    names = {objective.spec.specials[f"mode_{mode}"]: mode for mode in "rsx"}
    found = {names[mode]: count for mode, count in zip(*np.unique(modes, return_counts=True), strict=True)}
    assert found == {"r": pytest.approx(400, abs=55), "s": pytest.approx(200, abs=45), "x": pytest.approx(800, abs=60)}
    assert batch["source"].shape[1] <= 128 and batch["tokens"].shape[1] <= 128
    last = batch["hidden"][modes == objective.spec.specials["mode_s"]].sum(1)
    assert set(last.tolist()) == {round(length / 4)}
    for row in range(0, 1400, 100):
        one, other = batch["source"][row], batch["targets"][row]
        text = spans.join(one[1:][one[1:] < 1000 + 100], other[(other >= 0) & (other < 1100)], objective.sentinels)
        assert text == items["tokens"][row].tolist()


@given(st.integers(12, 700), st.sampled_from([T5, UL2, SpanCorruptionConfig(rate=0.5, mean_span=1)]))
@settings(max_examples=60)
def test_the_window_is_the_longest_that_fits(context, config):
    config = config.model_copy(update={"sentinels": 700})
    length = plain(config, context).window(context)
    sizes = [[max(_lengths(n, d)[:2]) for d in config.mixture()] for n in (length, length + 1)]
    assert max(sizes[0]) <= context < max(sizes[1])


@pytest.mark.parametrize("config", [T5, UL2], ids=lambda c: c.kind)
def test_rows_are_the_same_in_any_batch_and_padding_is_left_out(config):
    _, _, objective, items, batch = made(config, rows=24)
    for rows in (slice(0, 1), slice(5, 24)):
        part = {name: value[rows] for name, value in items.items()}
        again = objective.prepare(part, Keys(0, items["examples"][rows]))
        assert all(np.array_equal(again[name], batch[name][rows]) for name in again)
    items = {**items, "documents": items["documents"].copy()}
    items["documents"][0, 5:], items["documents"][1, 1:], items["documents"][2] = -1, -1, -1
    batch = objective.prepare(items, Keys(0, items["examples"]))
    assert [int((batch["targets"][row] >= 0).any()) for row in range(4)] == [1, 0, 0, 1]
    assert batch["hidden"][0].sum() < 5
    assert (batch["source_documents"][2] >= 0).sum() == 1 + (config is UL2)  # the end, and the mode


@pytest.mark.parametrize("config", [T5, UL2], ids=lambda c: c.kind)
def test_the_first_loss_is_as_expected_and_a_batch_is_learnt_by_heart(config):
    tokenizer, model, objective, _, batch = made(config, rows=4)
    network, given_ = model.build(tokenizer.vocab_size), tensors(batch)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.005)
    losses = []
    for _ in range(100):
        optimizer.zero_grad()
        loss, _, _ = run(network, objective, given_)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    expected = objective.expect(objective.spec)
    assert losses[0] == pytest.approx(expected.first["spans"], rel=expected.tolerance)
    assert losses[0] == pytest.approx(math.log(tokenizer.vocab_size), rel=0.05)
    assert losses[-1] < losses[0] / 8


def test_nothing_gives_a_hidden_token_away_before_it_is_asked_for():
    tokenizer, model, objective, items, batch = made(T5, rows=4)
    network = model.build(tokenizer.vocab_size, seed=2).eval()
    row, place = 1, int(np.flatnonzero(batch["hidden"][1])[6])
    _, _, before = run(network, objective, tensors(batch))
    token = batch["targets"][row, place]
    at = int(np.flatnonzero(items["tokens"][row] == token)[0])
    places = np.flatnonzero(items["tokens"][row] == token)
    other = {**items, "tokens": items["tokens"].copy()}
    changed = []
    for at in places:
        other["tokens"][row] = items["tokens"][row]
        other["tokens"][row, at] = (token + 1) % 200 + 40
        again = objective.prepare(other, Keys(0, items["examples"])) | {"examples": items["examples"]}
        if again["targets"][row, place] != token:
            changed.append(again)
    assert len(changed) == 1
    assert np.array_equal(changed[0]["source"], batch["source"])
    _, _, after = run(network, objective, tensors(changed[0]))
    assert torch.equal(after[row, : place + 1], before[row, : place + 1])


def test_micro_batches_sum_to_the_whole():
    tokenizer, model, objective, _, batch = made(UL2, rows=6)
    network, given_ = model.build(tokenizer.vocab_size), tensors(batch)
    count = objective.counts(given_)["spans"]
    run(network, objective, given_)[0].backward()
    whole = {name: p.grad.clone() for name, p in network.named_parameters()}
    network.zero_grad()
    for rows in (slice(0, 1), slice(1, 6)):
        part = {name: value[rows] for name, value in given_.items()}
        (run(network, objective, part)[0] * objective.counts(part)["spans"] / count).backward()
    for name, parameter in network.named_parameters():
        assert (parameter.grad - whole[name]).norm() <= 1e-5 * whole[name].norm() + 1e-8, name


def test_gaps_are_filled_in_their_places():
    """Learnt by heart, the network writes the hidden spans of a source, and the rest of a text."""
    config = SpanCorruptionConfig(sentinels=20)
    tokenizer, model, objective, items, batch = made(config, rows=2)
    network, given_ = model.build(tokenizer.vocab_size), tensors(batch)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.005)
    for _ in range(100):
        optimizer.zero_grad()
        run(network, objective, given_)[0].backward()
        optimizer.step()
    source = batch["source"][0][:-1].tolist()
    asked = batch["targets"][0][batch["targets"][0] >= 0][:-1].tolist()
    found = objective.generate({"network": network}, source, 30, seed=1, temperature=0)
    assert found == asked
    assert spans.join(source, found, objective.sentinels) == items["tokens"][0].tolist()
    free = objective.generate({"network": network}, source[:5], 6, seed=1, forbidden=set(tokenizer.specials.values()))
    assert len(free) <= 6 and not set(free) & set(tokenizer.specials.values())


def test_what_cannot_be_is_named():
    tokenizer, _ = trained()
    with pytest.raises(RecipeError, match="encoder-decoder"):
        T5.build(spec(tokenizer, CONTEXT))
    with pytest.raises(RecipeError, match="sentinel_0"):
        T5.build(spec(tokenizer, CONTEXT, small().filled()))
    with pytest.raises(RecipeError, match="28 hidden spans, and there are 5"):
        plain(SpanCorruptionConfig(sentinels=5), 512)
    with pytest.raises(ValueError, match="needs a denoiser"):
        Ul2Config(denoisers=())
    assert Denoiser().rate == 0.15
