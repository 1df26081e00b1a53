"""The count model of both neighbours: the formula, by brute force, and what it knows that one side does not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedstock.evaluation import beside
from seedstock.evaluation.beside import Beside


def formula(train, held_out, size):
    """The same with dictionaries."""
    edge, pairs = size, {}
    for text in train:
        for one, other in zip([edge, *text], [*text, edge], strict=True):
            pairs[one, other] = pairs.get((one, other), 0) + 1
    total, kinds = sum(pairs.values()), len({other for _, other in pairs})

    def single(symbol):
        return (sum(n for (_, b), n in pairs.items() if b == symbol) + kinds / (size + 1)) / (total + kinds)

    def follows(symbol, after):
        row = [n for (a, _), n in pairs.items() if a == after]
        if not row:
            return single(symbol)
        return (pairs.get((after, symbol), 0) + len(row) * single(symbol)) / (sum(row) + len(row))

    nats = []
    for text in held_out:
        for left, own, right in zip([edge, *text], text, [*text[1:], edge], strict=False):
            both = [follows(b, left) * follows(right, b) for b in range(size)]
            nats.append(-np.log(both[own] / sum(both)))
    return nats


texts = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=8), min_size=1, max_size=5)


@given(texts, texts, st.sampled_from([1, 12, 1 << 20]))
@settings(max_examples=30)
def test_it_is_the_formula(train, held_out, rows):
    model = Beside(4)
    for text in train:
        model.add(np.array(text), np.array([len(text)]))
    flat = np.concatenate([np.array(text) for text in held_out])
    lengths = np.array([len(text) for text in held_out])
    kept, beside.ROWS = beside.ROWS, rows
    try:
        found = model.score([(flat, lengths)])
    finally:
        beside.ROWS = kept
    assert found["nats_per_token"] == pytest.approx(np.mean(formula(train, held_out, 4)))
    assert found["tokens"] == len(flat)


def test_it_knows_what_no_side_alone_does():
    """0 1 2 and 3 1 4, 0 5 4 and 3 5 2: only both neighbours together say what stands between."""
    random = np.random.default_rng(0)
    model, size = Beside(8), 20_000
    middle = random.integers(4, 8, size)
    text = np.stack([middle % 2, middle, middle // 2 % 2 + 2], 1).ravel()  # its low bit before it, its high bit after
    model.add(text, np.array([len(text)]))
    left, own, right = model._around(text, np.array([len(text)]))
    nats = model.nats(left, own, right)[1::3]
    assert nats.mean() < 0.02  # one neighbour would leave ln 2
    assert np.isfinite(model.nats(*np.array([[8], [0], [8]]))).all()
