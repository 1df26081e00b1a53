"""Who holds the others up is named, by its device or its data, and only where it does."""

from __future__ import annotations

import pytest

from seedstock.training.callbacks.stragglers import BEHIND, report


@pytest.mark.parametrize(
    ("rows", "slowest", "by"),
    [
        ([[1.0, 0.0, 1.0, 0.01], [1.0, 0.0, 1.0, 0.01], [1.0, 0.0, 1.0, 0.02]], 2, "probe"),
        ([[1.0, 0.1, 1.0, 0.01], [1.0, 0.6, 1.0, 0.01], [1.0, 0.1, 1.0, 0.01]], 1, "waited"),
        ([[1.0, 0.0, 1.0, 0.03], [1.0, 0.0, 1.0, 0.01]], 0, "probe"),
    ],
)
def test_the_slowest_is_named(rows, slowest, by):
    found = report(rows)
    assert (found["slowest"], found["by"]) == (slowest, by) and found["behind"] >= BEHIND
    assert found["waited"] == [row[1] for row in rows]


def test_nobody_is_blamed_for_nothing():
    assert report([[1.0, 0.001, 1.0, 0.01], [1.0, 0.04, 1.0, 0.0101]])["behind"] < BEHIND
    assert report([[1.0, 0.0, 1.0, 0.01]] * 4)["behind"] == 1.0
