"""The held-out draw and edits as functions of their own."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedstock.corpus import edits, split
from seedstock.errors import DataError

TEXTS = st.lists(st.binary(min_size=4, max_size=4), min_size=1, max_size=60, unique=True)


def rows(draw_from: st.DataObject, texts: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    clusters = draw_from.draw(st.lists(st.integers(-1, 5), min_size=len(texts), max_size=len(texts)))
    kept = draw_from.draw(st.lists(st.booleans(), min_size=len(texts), max_size=len(texts)))
    return np.array(clusters, np.int64), np.array(kept)


@given(st.data(), TEXTS, st.floats(0.0, 0.9), st.integers(0, 3))
def test_a_cluster_is_never_on_both_sides(data, texts, fraction, seed):
    clusters, kept = rows(data, texts)
    held = split.choose(split.draws(texts, seed), clusters, kept, fraction, seed)
    assert not (held & ~kept).any()
    for cluster in set(clusters[clusters >= 0]):
        assert len(set(held[(clusters == cluster) & kept])) <= 1
    if fraction == 0:
        assert not held.any()


@given(TEXTS, TEXTS, st.floats(0.1, 0.9), st.integers(0, 3))
def test_a_document_stays_on_its_side_when_the_corpus_grows(texts, more, fraction, seed):
    more = [text for text in more if text not in texts]
    before = split.choose(split.draws(texts, seed), np.full(len(texts), -1), np.ones(len(texts), bool), fraction, seed)
    both = more + texts
    after = split.choose(split.draws(both, seed), np.full(len(both), -1), np.ones(len(both), bool), fraction, seed)
    if before.sum() > 1 and after.sum() > 1:
        assert (after[len(more) :] == before).all()


def test_the_share_is_met_and_follows_the_seed():
    texts = [number.to_bytes(4, "big") for number in range(20_000)]
    alone, all_ = np.full(20_000, -1), np.ones(20_000, bool)
    one, two = (split.choose(split.draws(texts, seed), alone, all_, 0.01, seed) for seed in (1, 2))
    assert 150 < one.sum() < 250 and 150 < two.sum() < 250
    assert (one & two).sum() < 20
    pairs = np.repeat(np.arange(10_000), 2)
    assert 75 < split.choose(split.draws(texts, 1), pairs, all_, 0.01, 1)[::2].sum() < 125, (
        "large clusters are drawn as often as small"
    )


def test_something_is_held_out_where_a_share_comes_to_nothing():
    texts = [bytes([number]) for number in range(5)]
    assert split.choose(split.draws(texts, 1), np.full(5, -1), np.ones(5, bool), 0.0001, 1).sum() == 1
    assert split.choose(split.draws(texts[:1], 1), np.full(1, -1), np.ones(1, bool), 0.0001, 1).sum() == 0
    assert split.choose(split.draws(texts, 1), np.zeros(5, np.int64), np.ones(5, bool), 0.0001, 1).sum() == 0


@given(st.text(max_size=40), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.text(max_size=3))))
def test_edits_are_made_as_by_hand(text, wanted):
    offsets = [len(text[:at].encode()) for at in range(len(text) + 1)]
    spans = [(min(a, b, len(text)), min(max(a, b), len(text)), new) for a, b, new in wanted]
    made = edits.ordered([(offsets[a], offsets[b], "k", new) for a, b, new in spans], offsets[-1], "here")
    by_hand = text
    for start, end, _, new in reversed(made):
        by_hand = by_hand[: offsets.index(start)] + new + by_hand[offsets.index(end) :]
    assert edits.apply(text, [(start, end, new) for start, end, _, new in made]) == by_hand
    assert all(left[1] <= right[0] for left, right in pairwise(made))


def test_an_edit_outside_of_its_text_is_refused():
    with pytest.raises(DataError, match="lies outside of 3 bytes"):
        edits.ordered([(1, 4, "emails", "")], 3, "source: a.txt")
