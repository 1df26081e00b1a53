"""What the data plan is made of: permutations, turns of the strata, keyed numbers, weights."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedstock.errors import DataError
from seedstock.inputs import permutation
from seedstock.inputs.config import MixtureConfig
from seedstock.inputs.interleave import BLOCK, quotas, table
from seedstock.inputs.keys import Keys, derive
from seedstock.inputs.mixture import weights


@given(n=st.integers(1, 3000), seed=st.integers(0, 2**63), tweak=st.integers(0, 2**62))
def test_a_permutation_is_a_bijection_with_its_inverse(n, seed, tweak):
    keys = derive(seed, "test", count=permutation.ROUNDS)[:, None]
    x = np.arange(n)
    y = permutation.permute(x, n, keys, tweak)
    assert np.array_equal(np.sort(y), x)
    assert np.array_equal(permutation.invert(y, n, keys, tweak), x)


@given(n=st.lists(st.integers(1, 1 << 50), min_size=1, max_size=30), seed=st.integers(0, 99))
def test_elements_of_many_domains_are_permuted_as_if_alone(n, seed):
    n = np.array(n)
    keys = np.stack([derive(seed, "test", i, count=permutation.ROUNDS) for i in range(len(n))], axis=1)
    x, tweak = n * 2 // 3, np.arange(len(n))
    y = permutation.permute(x, n, keys, tweak)
    assert ((y >= 0) & (y < n)).all()
    assert np.array_equal(permutation.invert(y, n, keys, tweak), x)
    for i in range(len(n)):
        assert permutation.permute(x[i : i + 1], n[i], keys[:, i : i + 1], tweak[i])[0] == y[i]


def test_a_permutation_mixes():
    keys = derive(1, "test", count=permutation.ROUNDS)[:, None]
    n = 10_000
    first, second = (permutation.permute(np.arange(n), n, keys, tweak) for tweak in (0, 1))
    assert abs(np.corrcoef(np.arange(n), first)[0, 1]) < 0.04 and abs(np.corrcoef(first, second)[0, 1]) < 0.04
    assert np.count_nonzero(np.diff(first) == 1) < 10


@settings(deadline=None)
@given(
    given=st.lists(st.floats(0, 1e6) | st.floats(0, 1e-6), min_size=1, max_size=40).filter(any),
    total=st.integers(64, 500),
)
def test_every_prefix_is_proportional_within_one(given, total):
    quota = np.array(quotas(given, total))
    assert quota.sum() == total and np.array_equal(quota > 0, np.array(given) > 0)
    turns = table(tuple(quota.tolist()))
    for s, share in enumerate(quota):
        counts = np.cumsum(turns.strata == s)
        assert (np.abs(counts - np.arange(1, total + 1) * share / total) < 1).all()
    places = np.arange(3 * total)
    strata, items = turns.items(places)
    for s in range(len(quota)):
        own = places[strata == s]
        assert np.array_equal(items[strata == s], np.arange(len(own)))
        assert np.array_equal(turns.places(s, np.arange(len(own))), own)
        assert turns.counts(total + total // 3)[s] == np.count_nonzero(strata[: total + total // 3] == s)


def test_quotas_are_the_largest_remainders():
    assert quotas([1, 1, 1], 64) == (22, 21, 21)
    assert quotas([0.5, 0.3, 0.2, 0], 10) == (5, 3, 2, 0)
    assert quotas([1e-9, 1, 0], 10) == (1, 9, 0)
    with pytest.raises(DataError, match="more than"):
        quotas([1.0] * (BLOCK + 1), BLOCK)


def test_keyed_numbers_depend_on_example_purpose_and_layer_alone():
    examples = np.array([7, 3, 1 << 40])
    keys = Keys(1, examples)
    row = Keys(1, examples[1:2]).bits("mask", 8, layer=2)[0]
    assert np.array_equal(keys.bits("mask", 8, layer=2)[1], row)
    assert np.array_equal(keys.bits("mask", 5, layer=2)[1], row[:5])
    for other in (keys.bits("span", 8, layer=2), keys.bits("mask", 8), Keys(2, examples).bits("mask", 8, layer=2)):
        assert not np.isin(other, keys.bits("mask", 8, layer=2)).any()
    integers = keys.integers("x", -3, 4, 5000)
    assert integers.min() == -3 and integers.max() == 3
    with pytest.raises(ValueError, match="empty"):
        keys.integers("x", 3, 3, 1)


def test_keyed_numbers_are_uniform():
    values = Keys(5, np.arange(200)).uniform("noise", 500)
    assert values.min() >= 0 and values.max() < 1
    counts = np.histogram(values, bins=100, range=(0, 1))[0]
    assert (((counts - 1000) ** 2) / 1000).sum() < 150  # chi-squared of 99 degrees: 148 is the 0.1 % point
    assert abs(np.corrcoef(values[:, 0], values[:, 1])[0, 1]) < 0.25
    assert abs(np.corrcoef(values[:-1, 0], values[1:, 0])[0, 1]) < 0.25


STRATA = [
    SimpleNamespace(stratum=0, source="web", domain="a", language="en", tokens=900, repeats=1),
    SimpleNamespace(stratum=1, source="web", domain="b", language="en", tokens=100, repeats=1),
    SimpleNamespace(stratum=2, source="web", domain="a", language="de", tokens=10, repeats=1),
    SimpleNamespace(stratum=5, source="books", domain="a", language="en", tokens=90, repeats=1),
]


def test_a_temperature_of_one_takes_tokens_as_they_come():
    found = weights(STRATA, MixtureConfig())
    assert found == pytest.approx({0: 900 / 1100, 1: 100 / 1100, 2: 10 / 1100, 5: 90 / 1100})


def test_what_is_to_be_repeated_counts_as_often():
    more = [*STRATA[:3], SimpleNamespace(**{**vars(STRATA[3]), "repeats": 5})]
    found = weights(more, MixtureConfig())
    assert found == pytest.approx({0: 900 / 1460, 1: 100 / 1460, 2: 10 / 1460, 5: 450 / 1460})


def test_temperature_flattens_groups_and_not_the_strata_inside():
    found = weights(STRATA, MixtureConfig(by=["source", "language"], temperature=2))
    roots = {"web/en": 1000**0.5, "web/de": 10**0.5, "books/en": 90**0.5}
    total = sum(roots.values())
    assert found[0] + found[1] == pytest.approx(roots["web/en"] / total)
    assert found[0] / found[1] == pytest.approx(9)
    assert found[2] == pytest.approx(roots["web/de"] / total)


def test_weights_give_groups_their_share_and_the_others_the_rest():
    found = weights(STRATA, MixtureConfig(weights={"web/de": 0.5, "books": "20 %"}))
    assert found == pytest.approx({0: 0.27, 1: 0.03, 2: 0.5, 5: 0.2})
    assert weights(STRATA, MixtureConfig(weights={"*/en": 0}))[2] == 1
    everything = weights(STRATA, MixtureConfig(by=["language"], weights={"en": 0.3, "de": 0.3}))
    assert sum(everything.values()) == pytest.approx(1) and everything[2] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("named", "message"),
    [({"wep": 0.5}, "no group"), ({"web": 0.1, "*/en": 0.1}, "twice"), ({"web": 0, "books": 0}, "weight of 0")],
)
def test_weights_that_name_nothing_say_so(named, message):
    with pytest.raises(DataError, match=message):
        weights(STRATA, MixtureConfig(weights=named))


def test_shares_above_one_are_refused():
    with pytest.raises(ValueError, match="more than 1"):
        MixtureConfig(weights={"web": 0.7, "books": 0.7})
