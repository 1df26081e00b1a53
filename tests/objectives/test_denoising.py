"""Denoising: spans behind one mask each, sentences out of order, and the whole text as the target."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from real_windows import spec, trained
from small_readers import CONTEXT, made, run, small, tensors

from seedstock.errors import RecipeError
from seedstock.inputs.keys import Keys
from seedstock.objectives import infilling
from seedstock.objectives.configs.denoising import DenoisingConfig

BART = DenoisingConfig()
MASK = 99


def masked(tokens, lengths, rate=0.3, mean=3.0, seed=0):
    keys = Keys(seed, np.arange(len(tokens)))
    width = tokens.shape[1]
    sizes = infilling.poisson(keys.uniform("sizes", width), mean)
    return infilling.behind_masks(tokens, lengths, rate, sizes, keys.uniform("places", width + 1), MASK)


@given(st.integers(1, 200), st.floats(0.01, 0.95), st.floats(0.1, 20), st.integers(0, 2**31))
@settings(max_examples=150)
def test_what_is_left_is_the_text_without_what_is_hidden(length, rate, mean, seed):
    lengths = np.array([length, length // 2, 0])
    tokens = np.arange(length)[None] % 90 + np.zeros((3, 1), int)
    given_, hidden = masked(tokens, lengths, rate, mean, seed)
    for row in range(3):
        own = given_[row][given_[row] >= 0]
        assert len(own) <= lengths[row] and (given_[row, len(own) :] == -1).all()
        seen = ~hidden[row, : lengths[row]]
        assert own[own != MASK].tolist() == tokens[row, : lengths[row]][seen].tolist()
        assert not hidden[row, lengths[row] :].any()
        assert hidden[row].sum() <= round(lengths[row] * rate)
        edges = np.diff(np.pad(hidden[row, : lengths[row]].astype(int), 1))
        assert (own == MASK).sum() >= (edges > 0).sum()
        assert not ((own[1:] == MASK) & (own[:-1] == MASK)).any()


def test_lengths_and_share_are_those_of_the_paper():
    tokens = np.tile(np.arange(90), (400, 5))
    given_, hidden = masked(tokens, np.full(400, 450))
    assert hidden.mean() == pytest.approx(0.3, abs=0.003)
    lengths = np.diff(np.flatnonzero(np.diff(np.pad(hidden, ((0, 0), (1, 1))).astype(int).ravel())))[::2]
    masks = (given_ == MASK).sum()
    empty = masks - len(lengths)
    assert len(lengths) and empty / masks == pytest.approx(math.exp(-3), abs=0.01)
    assert lengths.mean() == pytest.approx(3 / (1 - math.exp(-3)), abs=0.1)
    assert np.bincount(lengths)[2] / masks == pytest.approx(math.exp(-3) * 4.5, abs=0.02)


@pytest.mark.parametrize("mean", [0.5, 3.0, 40.0])
def test_poisson_numbers(mean):
    found = infilling.poisson(Keys(1, np.arange(2000)).uniform("a", 20), mean)
    assert found.mean() == pytest.approx(mean, rel=0.03) and found.var() == pytest.approx(mean, rel=0.05)


def test_sentences_are_shuffled_inside_their_documents():
    tokenizer, _, objective, items, _ = made(BART, "bart", rows=40, context=128)
    bos, eos = tokenizer.specials["bos"], tokenizer.specials["eos"]
    moved = 0
    for row in range(40):
        kept = items["documents"][row] >= 0
        tokens, documents = items["tokens"][row][kept], items["documents"][row][kept]
        draws = Keys(0, np.array([row])).uniform("sentences", len(tokens))
        order = objective._order(tokens[None], documents[None], draws)[0].tolist()
        begins = [
            at
            for at in range(len(tokens))
            if at == 0
            or documents[at] != documents[at - 1]
            or tokens[at - 1] == bos
            or tokens[at] == eos
            or tokenizer.decode([tokens[at - 1]]).rstrip("\"')] \n\t").endswith((".", "!", "?"))
        ]
        ends = [*begins[1:], len(tokens)]
        whole = {tuple(range(begin, end)) for begin, end in zip(begins, ends, strict=True)}
        for sentence in whole:  # together and in order
            at = order.index(sentence[0])
            assert tuple(order[at : at + len(sentence)]) == sentence
        found = tokens[order]
        assert np.array_equal(documents[order], documents)
        assert np.array_equal(found == bos, tokens == bos) and np.array_equal(found == eos, tokens == eos)
        moved += order != sorted(order)
    assert moved > 20


@pytest.mark.parametrize("permute", [True, False])
def test_the_target_is_the_whole_text_and_hidden_tokens_are_not_in_the_source(permute):
    tokenizer, _, _, items, batch = made(DenoisingConfig(permute=permute), "bart", rows=32)
    assert batch["source"].shape == batch["tokens"].shape == (32, CONTEXT)
    eos, mask = tokenizer.specials["eos"], tokenizer.specials["mask"]
    for row in range(32):
        stored = items["tokens"][row][items["documents"][row] >= 0].tolist()
        if len(stored) < 2:
            continue
        asked = batch["targets"][row][batch["targets"][row] >= 0].tolist()
        assert asked == [*stored, eos]
        assert batch["tokens"][row, : len(asked)].tolist() == [eos, *asked[:-1]]  # BART begins with its eos
        source = batch["source"][row][batch["source_documents"][row] >= 0].tolist()
        shown = [token for token, gone in zip(asked[:-1], batch["hidden"][row], strict=False) if not gone]
        plain = [token for token in source[:-1] if token != mask]
        assert source[-1] == eos and sorted(plain) == sorted(shown)
        assert permute or plain == shown
        assert batch["hidden"][row].sum() == round(0.3 * len(stored))


def test_rows_are_the_same_in_any_batch_and_padding_is_left_out():
    _, _, objective, items, batch = made(BART, "bart", rows=24)
    for rows in (slice(0, 1), slice(5, 24)):
        part = {name: value[rows] for name, value in items.items()}
        again = objective.prepare(part, Keys(0, items["examples"][rows]))
        assert all(np.array_equal(again[name], batch[name][rows]) for name in again)
    items = {**items, "documents": items["documents"].copy()}
    items["documents"][0, 5:], items["documents"][1, 1:], items["documents"][2] = -1, -1, -1
    batch = objective.prepare(items, Keys(0, items["examples"]))
    assert [int((batch["targets"][row] >= 0).sum()) for row in range(3)] == [6, 0, 0]


def test_the_first_loss_is_as_expected_and_a_batch_is_learnt_by_heart():
    tokenizer, model, objective, _, batch = made(BART, "bart", rows=4)
    network, given_ = model.build(tokenizer.vocab_size), tensors(batch)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.005)
    losses = []
    for _ in range(80):
        optimizer.zero_grad()
        loss, metrics, _ = run(network, objective, given_)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[0] == pytest.approx(math.log(tokenizer.vocab_size), rel=0.05)
    assert losses[-1] < losses[0] / 8
    assert float(metrics["hidden"] / given_["hidden"].sum()) < 2


def test_what_is_hidden_is_not_given_away_before_it_is_asked_for():
    tokenizer, model, objective, items, batch = made(DenoisingConfig(permute=False), "bart", rows=4)
    network = model.build(tokenizer.vocab_size, seed=2).eval()
    _, _, before = run(network, objective, tensors(batch))
    for place in np.flatnonzero(batch["hidden"][1]).tolist():
        other = {**items, "tokens": items["tokens"].copy()}
        other["tokens"][1, place] = (other["tokens"][1, place] + 1) % 200 + 40
        again = objective.prepare(other, Keys(0, items["examples"])) | {"examples": items["examples"]}
        assert np.array_equal(again["source"], batch["source"])
        assert np.array_equal(again["tokens"][1, : place + 1], batch["tokens"][1, : place + 1])
    _, _, after = run(network, objective, tensors(again))
    assert torch.equal(after[1, : place + 1], before[1, : place + 1])


def test_it_writes_on_and_fills_in():
    tokenizer, model, objective, _, batch = made(BART, "bart", rows=4)
    nets = {"network": model.build(tokenizer.vocab_size)}
    mask, eos = tokenizer.specials["mask"], tokenizer.specials["eos"]
    ids = [token for token in batch["source"][0].tolist() if token not in (mask, eos)][:8]
    specials = set(tokenizer.specials.values())
    found = objective.generate(nets, ids, 6, seed=1, forbidden=specials)
    assert len(found) <= 6 and not specials & set(found)
    assert len(objective.generate(nets, [*ids[:3], mask, *ids[3:]], 12, seed=1, temperature=0)) <= 12


def test_what_cannot_be_is_named():
    tokenizer, _ = trained()
    with pytest.raises(RecipeError, match="encoder-decoder"):
        BART.build(spec(tokenizer, CONTEXT))
    known = spec(tokenizer, CONTEXT, small("bart").filled())
    with pytest.raises(RecipeError, match="sentences end"):
        BART.build(replace(known, tokenizer=None))
    DenoisingConfig(permute=False).build(replace(known, tokenizer=None))
