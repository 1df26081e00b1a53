"""Paired differences: their intervals hold the truth as often as they say, and are narrow because of the pairs."""

from __future__ import annotations

import numpy as np
import pytest

from seedstock.planning.paired import by_documents, over_seeds, student


def test_students_quantiles():
    assert student(1) == 12.706 and student(4) == 2.776
    assert student(20) == pytest.approx(2.086, abs=1e-3) and student(1000) == pytest.approx(1.962, abs=1e-3)


def test_the_interval_over_seeds_covers():
    random = np.random.default_rng(0)
    base = random.normal(3, 1, (400, 4))
    found = [over_seeds(one, one + random.normal(0.1, 0.02, 4)) for one in base]
    covered = np.mean([one["interval"][0] <= 0.1 <= one["interval"][1] for one in found])
    assert 0.9 < covered < 0.99
    assert over_seeds([1.0], [2.0]) == {"difference": 1.0, "interval": None, "pairs": [1.0]}


def documents(random, count, shift):
    hard, size = random.normal(2, 0.5, count), random.integers(100, 5000, count)
    ids = np.array([f"{i:016d}".encode() for i in range(count)])
    first = {"id": ids, "size": size, "loss": hard * size}
    second = {"id": ids, "size": size, "loss": (hard + shift + random.normal(0, 0.02, count)) * size}
    return first, second


def test_the_interval_by_documents_is_of_pairs():
    random = np.random.default_rng(1)
    found = by_documents([documents(random, 200, 0.05), documents(random, 300, 0.05)])
    low, high = found["interval"]
    assert low < 0.05 < high and high - low < 0.02  # apart, documents differ by half a bit
    assert found["documents"] == [200, 300]


def test_only_what_both_were_scored_on_is_compared():
    random = np.random.default_rng(2)
    first, second = documents(random, 50, 0.1)
    fewer = {name: value[10:] for name, value in second.items()}
    assert by_documents([(first, fewer)])["documents"] == [40]
    assert by_documents([(first, {name: value[:1] for name, value in second.items()})]) is None
    assert by_documents([({}, {})]) is None
