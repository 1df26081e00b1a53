"""A column of labels is an array of strings that takes less room."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seedstock.corpus.labels import Labels

writes = st.lists(st.tuples(st.lists(st.integers(0, 9), max_size=6, unique=True), st.integers(0, 5), st.booleans()))


@given(writes)
def test_it_reads_and_writes_like_an_array(listed):
    labels, array = Labels(10, "first"), np.full(10, "first", object)
    for rows, value, each in listed:
        values = np.array([f"v{value}-{row % 3}" for row in rows], object) if each else f"v{value}"
        labels[np.array(rows, int)] = values
        array[np.array(rows, int)] = values
    assert labels[:].tolist() == array.tolist()
    assert [labels[row] for row in range(10)] == array.tolist()
    for value in {*array, "absent"}:
        assert (labels == value).tolist() == (array == value).tolist()


def test_a_thousand_different_labels_and_a_hundred_thousand():
    for rows in (1000, 100_000):
        labels = Labels(rows)
        values = np.array([f"label {row}" for row in range(rows)], object)
        labels[:] = values
        assert (labels[:] == values).all() and labels.codes.itemsize == (2 if rows == 1000 else 4)
