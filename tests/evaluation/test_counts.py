"""The count models against a slow dictionary of counts, against probability theory, and against known floors."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedstock.evaluation import counts
from seedstock.evaluation.counts import CountModel


def joined(documents):
    symbols = np.concatenate([np.asarray(list(document), np.int64) for document in documents] or [np.zeros(0, int)])
    return symbols, np.array([len(document) for document in documents], np.int64)


class Slow:
    """The same model, written down from the formula with dictionaries."""

    def __init__(self, vocabulary, order, documents):
        self.vocabulary, self.order = vocabulary, order
        self.after = defaultdict(lambda: defaultdict(int))
        for document in documents:
            for context, symbol in self.grams(document):
                for n in range(order + 1):
                    self.after[context[order - n :]][symbol] += 1

    def grams(self, document):
        padded = [self.vocabulary] * self.order + list(document)
        for i in range(self.order, len(padded)):
            yield tuple(padded[i - self.order : i]), padded[i]

    def witten_bell(self, context, symbol):
        followers = self.after.get(context, {})
        lower = self.witten_bell(context[1:], symbol) if context else 1 / self.vocabulary
        total, distinct = sum(followers.values()), len(followers)
        return (followers.get(symbol, 0) + distinct * lower) / (total + distinct) if total else lower

    def additive(self, context, symbol, extra):
        followers = self.after.get(context, {})
        return (followers.get(symbol, 0) + extra) / (sum(followers.values()) + extra * self.vocabulary)


documents_of = st.lists(st.lists(st.integers(0, 4), max_size=30), min_size=1, max_size=6)


@given(train=documents_of, held=documents_of, order=st.integers(0, 5))
@settings(max_examples=80, deadline=None)
def test_equals_the_slow_reference(train, held, order):
    model = CountModel(5, order)
    model.add(*joined(train))
    slow = Slow(5, order, train)
    grams = [gram for document in held for gram in slow.grams(document)]
    for n in range(order + 1):
        witten_bell = [-math.log(slow.witten_bell(context[order - n :], symbol)) for context, symbol in grams]
        additive = [-math.log(slow.additive(context[order - n :], symbol, 0.1)) for context, symbol in grams]
        np.testing.assert_allclose(model.witten_bell(*joined(held))[n], witten_bell, rtol=0, atol=1e-9)
        np.testing.assert_allclose(model.additive(*joined(held), 0.1)[n], additive, rtol=0, atol=1e-9)


def test_equals_the_slow_reference_on_real_bytes():
    import json.decoder
    import json.encoder
    from pathlib import Path

    train, held = (Path(module.__file__).read_bytes() for module in (json.decoder, json.encoder))
    train = [train[i : i + 700] for i in range(0, len(train), 700)]
    model = CountModel(256, 5)
    model.add(*joined(train))
    slow = Slow(256, 5, train)
    expected = [-math.log(slow.witten_bell(context, symbol)) for context, symbol in slow.grams(held[:3000])]
    np.testing.assert_allclose(model.witten_bell(*joined([held[:3000]]))[5], expected, rtol=0, atol=1e-9)


@given(train=documents_of, context=st.lists(st.integers(0, 4), max_size=6))
@settings(max_examples=50, deadline=None)
def test_probabilities_sum_to_one(train, context):
    model = CountModel(5, 3)
    model.add(*joined(train))
    every = [[*context, symbol] for symbol in range(5)]
    last = np.cumsum([len(document) for document in every]) - 1
    for nats in (model.witten_bell(*joined(every)), model.additive(*joined(every))):
        np.testing.assert_allclose(np.exp(-nats[:, last]).sum(1), 1, rtol=0, atol=1e-12)


@given(train=documents_of, cut=st.integers(0, 5))
@settings(max_examples=50, deadline=None)
def test_documents_may_be_added_in_any_pieces(train, cut):
    whole, pieces = CountModel(5, 3), CountModel(5, 3)
    whole.add(*joined(train))
    for part in (train[cut:], train[:cut]):
        pieces.add(*joined(part))
        pieces.witten_bell(*joined(train))  # reading in between changes nothing
    np.testing.assert_array_equal(whole.witten_bell(*joined(train)), pieces.witten_bell(*joined(train)))


def test_small_chunks_change_nothing(monkeypatch):
    rng = np.random.default_rng(1)
    train = [rng.integers(0, 7, rng.integers(0, 60)) for _ in range(80)]
    whole, chunked = CountModel(7, 4), CountModel(7, 4)
    whole.add(*joined(train))
    monkeypatch.setattr(counts, "_CHUNK", 50)
    chunked.add(*joined(train))
    np.testing.assert_array_equal(whole.witten_bell(*joined(train)), chunked.witten_bell(*joined(train)))


def test_knows_nothing_without_training():
    np.testing.assert_allclose(CountModel(256, 2).witten_bell(*joined([b"abc"])), math.log(256))


def test_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="64 bits"):
        CountModel(60_000, 5)
    assert CountModel.fitting(60_000, 5).order == 3
    with pytest.raises(ValueError, match="not below"):
        CountModel(4, 1).add(*joined([[4]]))


def test_tiny_shakespeare_floor(data_pack):
    """Nats a character of additive counts on the last tenth, as others have measured them."""
    import zstandard

    text = zstandard.ZstdDecompressor().stream_reader((data_pack / "text/tinyshakespeare.txt.zst").open("rb")).read()
    alphabet, symbols = np.unique(np.frombuffer(text, np.uint8), return_inverse=True)
    split = len(symbols) * 9 // 10
    model = CountModel(len(alphabet), 4)
    model.add(symbols[:split], np.array([split]))
    held = symbols[split:]
    lengths = np.array([len(held)])
    additive = model.additive(held, lengths, 0.1).mean(1)
    np.testing.assert_allclose(additive, [3.347, 2.484, 2.046, 1.784, 1.788], atol=1e-3)
    witten_bell = model.witten_bell(held, lengths).mean(1)
    assert (np.diff(witten_bell) < 0).all() and witten_bell[4] < additive[3]
