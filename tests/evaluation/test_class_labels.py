"""Scores of classifiers: known values, and what must hold of any labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedstock.evaluation.labels import compared, confusion, scores

NAMES = ["a", "b", "c"]
LABELS = st.lists(st.tuples(st.integers(0, 2), st.integers(-1, 2)), min_size=1, max_size=60)


def test_known_values():
    labels, predicted = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, -1, 2])
    found = scores(labels, predicted, NAMES)
    assert found["accuracy"] == pytest.approx(4 / 6) and found["most_frequent"] == 0.5
    f1 = {"a": 2 * 2 / (3 + 2), "b": 2 * 1 / (2 + 2), "c": 1.0}
    assert {name: one["f1"] for name, one in found["classes"].items()} == pytest.approx(f1)
    assert found["macro_f1"] == pytest.approx(sum(f1.values()) / 3)
    assert found["classes"]["a"]["precision"] == 1.0 and found["classes"]["b"]["recall"] == 0.5
    # Wilson 1927, by hand for 4 of 6.
    assert found["accuracy_interval"] == pytest.approx([0.3000, 0.9032], abs=1e-4)


@given(LABELS)
def test_intervals_hold_the_estimate_and_the_table_every_text(pairs):
    labels, predicted = map(np.array, zip(*pairs, strict=True))
    found = scores(labels, predicted, NAMES)
    low, high = found["accuracy_interval"]
    assert 0 <= low <= found["accuracy"] <= high <= 1
    assert 0 <= found["macro_f1"] <= 1 and found["macro_f1_interval"][0] <= found["macro_f1_interval"][1]
    table = confusion(labels, predicted, 3)
    assert table.sum() == len(labels) and (table.sum(1) == np.bincount(labels, minlength=3)).all()
    assert scores(labels, predicted, NAMES) == found, "the bootstrap is drawn by a key"


def test_no_text_is_refused():
    with pytest.raises(ValueError, match="no labels"):
        scores(np.array([], int), np.array([], int), NAMES)


def test_a_difference_is_of_pairs_and_its_test_is_mcnemars():
    labels = np.zeros(100, int)
    one, other = np.zeros(100, int), np.zeros(100, int)
    one[:5], other[3:18] = 1, 1  # both wrong on 3 and 4; 3 are lost, 13 won
    found = compared(labels, one, other)
    assert found["difference"] == pytest.approx(0.10)
    assert found["p"] == pytest.approx(2 * sum([1, 16, 120, 560]) / 2**16)
    assert found["interval"][0] < 0.10 < found["interval"][1]
    back = compared(labels, other, one)
    assert back["difference"] == -found["difference"] and back["p"] == found["p"]


@given(LABELS)
def test_a_classifier_does_not_differ_from_itself(pairs):
    labels, predicted = map(np.array, zip(*pairs, strict=True))
    found = compared(labels, predicted, predicted)
    assert found["difference"] == 0 and found["p"] == 1
