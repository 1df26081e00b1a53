"""Fill-in-the-middle: documents come back whole, stay where they are, and are cut as often as asked for."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent.parent / "models"))
from real_windows import batch, spec, trained
from small_networks import small

from seedstock.errors import RecipeError
from seedstock.inputs.keys import Keys
from seedstock.objectives.base import Spec, assemble
from seedstock.objectives.configs.fim import FimConfig

LENGTH = 97


def prepared(kind="bpe", rows=64, length=LENGTH, **config):
    tokenizer, shards = trained(kind)
    objective = FimConfig(**config).build(spec(tokenizer, length - 1))
    items, keys = batch(shards, length, rows)
    return tokenizer, items, objective.prepare(items, keys)


def pieces(tokens, documents):
    """The documents of one window, in order."""
    edges = np.flatnonzero(np.diff(documents)) + 1
    return [part for part, d in zip(np.split(tokens, edges), np.split(documents, edges), strict=True) if d[0] >= 0]


def restored(tokenizer, part):
    """A piece as text in reading order, and how it was arranged (None: it was not)."""
    ids, marks = part.tolist(), {name: tokenizer.specials[f"fim_{name}"] for name in ("prefix", "suffix", "middle")}
    if marks["prefix"] not in ids:
        return tokenizer.decode(ids, skip_specials=True), None
    first, second, third = (ids.index(marks[name]) for name in ("prefix", "suffix", "middle"))
    prefix, suffix, middle = ids[first + 1 : second], ids[second + 1 : third], ids[third + 1 :]
    spm = second == first + 1
    end = [] if not spm else middle  # with SPM the prefix and the middle are one
    whole = [*end, *suffix] if spm else [*prefix, *middle, *suffix]
    return tokenizer.decode(whole, skip_specials=True), "spm" if spm else "psm"


@pytest.mark.parametrize("kind", ["bpe", "bytes"])
@pytest.mark.parametrize("split", ["characters", "tokens"])
def test_every_document_comes_back_whole(kind, split):
    tokenizer, items, made = prepared(kind, rate=1, split=split)
    ways = []
    for row in range(len(items["tokens"])):
        before = pieces(items["tokens"][row], items["documents"][row])
        after = pieces(made["tokens"][row], made["documents"][row])
        assert len(after) <= len(before)
        for number, (own, part) in enumerate(zip(before, after, strict=False)):
            text = b"".join(tokenizer.bytes_of(i for i in own.tolist() if tokenizer.byte_lengths[i]))
            found, way = restored(tokenizer, part)
            ways.append(way)
            wanted = text.decode("utf-8", "ignore" if way and split == "characters" else "replace")
            last = number == len(after) - 1
            assert wanted.startswith(found.rstrip("\ufffd")) if last else found == wanted
    assert ways.count("psm") > 20 and ways.count("spm") > 20 and ways.count(None) < len(ways) / 5


def test_an_arranged_document_ends_with_eos_even_where_the_window_cut_it():
    tokenizer, items, made = prepared(rate=1)
    marks = {tokenizer.specials[name] for name in ("fim_prefix", "fim_middle", "fim_suffix")}
    arranged = cut = 0
    for row in range(len(items["tokens"])):
        for part in pieces(made["tokens"][row], made["documents"][row]):
            if marks & set(part.tolist()):
                assert [int((part == mark).sum()) for mark in marks] == [1, 1, 1]
                assert part[-1] == tokenizer.specials["eos"]
                arranged += 1
        cut += items["tokens"][row, -1] != tokenizer.specials["eos"]
    assert arranged > 50 and cut > 50


def test_windows_keep_their_shape_and_positions_restart_with_documents():
    _, items, made = prepared()
    assert sorted(made) == ["documents", "positions", "tokens"]
    assert all(array.shape == items["tokens"].shape for array in made.values())
    starts = np.insert(np.diff(made["documents"], axis=1) != 0, 0, True, axis=1)
    assert (made["positions"][starts] == 0).all()
    assert (np.diff(made["positions"], axis=1)[~starts[:, 1:]] == 1).all()
    assert (np.diff(made["documents"], axis=1)[made["documents"][:, 1:] >= 0] >= 0).all()


@pytest.mark.parametrize("rate, spm", [(0.5, 0.5), (0.9, 0.1), (0.0, 0.5), (1.0, 1.0)])
def test_documents_are_arranged_as_often_as_asked_for(rate, spm):
    tokenizer, _, made = prepared(rows=600, length=64, rate=rate, spm=spm, split="tokens")
    first, second = tokenizer.specials["fim_prefix"], tokenizer.specials["fim_suffix"]
    firsts = [part for row in range(600) for part in pieces(made["tokens"][row], made["documents"][row])[:1]]
    arranged = [part.tolist() for part in firsts if first in part]
    # A few documents have no text in their window, or would not fit.
    assert len(arranged) / len(firsts) == pytest.approx(rate, abs=0.07)
    if arranged:
        spms = sum(part.index(second) == part.index(first) + 1 for part in arranged)
        assert spms / len(arranged) == pytest.approx(spm, abs=0.08)


def test_cuts_are_as_likely_anywhere():
    """Two uniform cuts: prefix, suffix and middle have a third of the text each on average."""
    tokenizer, _, made = prepared(rows=600, length=64, rate=1, spm=0, split="tokens")
    marks = [tokenizer.specials[f"fim_{name}"] for name in ("prefix", "suffix", "middle")]
    lengths = []
    for row in range(600):
        if (made["documents"][row] == 0).all() and marks[0] in made["tokens"][row]:
            first, second, third = (made["tokens"][row].tolist().index(mark) for mark in marks)
            lengths.append([second - first - 1, third - second - 1, 64 - third - 2])
    means = np.mean(lengths, axis=0)
    assert len(lengths) > 300 and means / means.sum() == pytest.approx([1 / 3] * 3, abs=0.04)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(0, 2**31), st.booleans())
@settings(max_examples=60)
def test_any_batch_split_and_any_lengths(lengths, seed, erased):
    """Rows do not depend on their neighbours; tokens are never lost from within, nor taken from elsewhere."""
    specials = {name: 200 + number for number, name in enumerate(("bos", "eos", "pad", *FimConfig().specials()))}
    objective = FimConfig(split="tokens", rate=0.8).build(Spec(256, 64, specials))
    rows = []
    for shift in range(3):
        parts = [[200, *range(shift, shift + length), 201] for length in lengths]
        numbers = [number for number, part in enumerate(parts) for _ in part]
        tokens = [token for part in parts for token in part]
        if erased:
            numbers[-2:], tokens[-2:] = [-1, -1], [202, 202]
        rows.append((tokens[shift:], numbers[shift:]))
    size = min(len(tokens) for tokens, _ in rows)
    items = {
        "tokens": np.array([tokens[:size] for tokens, _ in rows]),
        "documents": np.array([numbers[:size] for _, numbers in rows]),
    }
    items["positions"] = np.zeros_like(items["tokens"])
    whole = objective.prepare(items, Keys(seed, np.arange(3)))
    for row in range(3):
        alone = objective.prepare({k: v[row : row + 1] for k, v in items.items()}, Keys(seed, np.array([row])))
        assert all(np.array_equal(alone[name][0], whole[name][row]) for name in alone)
        kept = whole["documents"][row] >= 0
        for number in np.unique(whole["documents"][row][kept]):
            found = whole["tokens"][row][whole["documents"][row] == number]
            given_ = items["tokens"][row][items["documents"][row] == number]
            plain, source = found[found < 200], given_[given_ < 200]
            assert len(np.unique(plain)) == len(plain) and set(plain) <= set(source)


def test_a_document_with_a_special_token_inside_is_left_as_it_is():
    tokenizer, items, _ = prepared()
    objective = FimConfig(rate=1).build(spec(tokenizer, LENGTH - 1))
    items = {name: array[:1] for name, array in items.items()}
    items["tokens"][0, 1::2] = tokenizer.specials["im_start"]
    made = objective.prepare(items, Keys(0, np.arange(1)))
    assert np.array_equal(made["tokens"], items["tokens"])


def test_the_first_loss_is_that_of_every_next_token():
    tokenizer, _, made = prepared(rows=8)
    network = small(width=64, heads=4, context=LENGTH).build(tokenizer.vocab_size)
    objective = FimConfig().build(spec(tokenizer, LENGTH - 1))
    given_ = {name: torch.from_numpy(array) for name, array in made.items()} | {"examples": torch.arange(8)}
    nets = assemble(network, objective)
    sums, _ = objective.loss(nets, network.backbone(**objective.inputs(nets, given_)), given_)
    count = objective.counts(given_)["causal"]
    assert objective.predicts_next and int(count) > 500
    assert float(sums["causal"].detach() / count) == pytest.approx(math.log(tokenizer.vocab_size), rel=0.05)


def test_tokenizers_that_cannot_cut_a_text_are_named():
    tokenizer, _ = trained()
    known = spec(tokenizer, 64)
    with pytest.raises(RecipeError, match="changes what it reads"):
        FimConfig().build(replace(known, tokenizer=SimpleNamespace(exact=False)))
    FimConfig(split="tokens").build(replace(known, tokenizer=None))
    with pytest.raises(RecipeError, match="fim_middle"):
        FimConfig().build(replace(known, specials={"bos": 0, "eos": 1, "pad": 2, "fim_prefix": 3, "fim_suffix": 4}))


def test_short_middles_have_a_bound_and_reach_the_document_everywhere():
    """``longest``: the middle's length has a uniform logarithm, and its place is as likely anywhere."""
    tokenizer, _, made = prepared(rows=800, length=64, rate=1, spm=0, split="tokens", longest=15)
    marks = [tokenizer.specials[f"fim_{name}"] for name in ("prefix", "suffix", "middle")]
    lengths, places = [], []
    for row in range(800):
        tokens = made["tokens"][row].tolist()
        if (made["documents"][row] == 0).all() and marks[0] in tokens:
            first, second, third = (tokens.index(mark) for mark in marks)
            lengths.append(64 - third - 2)
            places.append((second - first - 1) / (third - first - 2))
    counts = [sum(low <= length < 2 * low for length in lengths) / len(lengths) for low in (1, 2, 4, 8)]
    assert len(lengths) > 400 and min(lengths) == 1 and max(lengths) == 15
    assert counts == pytest.approx([1 / 4] * 4, abs=0.07)
    assert np.quantile(places, [0.25, 0.5, 0.75]) == pytest.approx([0.25, 0.5, 0.75], abs=0.08)
