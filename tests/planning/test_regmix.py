"""Proposed mixtures: a known optimum is found, noise is called noise, and nothing beyond what was tried is proposed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedstock.planning import regmix

NATURAL = {"a": 0.7, "b": 0.2, "c": 0.1}


def law(weights, noise=0.0, seed=0):
    """Losses that fall with a power of a domain's own share: least, on average, where all are equal."""
    random = np.random.default_rng(seed).normal(0, noise, len(weights)) if noise else np.zeros(len(weights))
    return {name: 1 + weight**-0.15 + more for (name, weight), more in zip(weights.items(), random, strict=True)}


@given(
    st.dictionaries(st.sampled_from("abcdefg"), st.floats(0.01, 1), min_size=2, max_size=6),
    st.integers(1, 20),
    st.integers(0, 99),
)
def test_mixtures_are_shares_and_the_first_is_natural(weights, count, seed):
    natural = {name: weight / sum(weights.values()) for name, weight in weights.items()}
    found = regmix.draw(natural, count, seed)
    assert len(found) == count and found == regmix.draw(natural, count, seed)
    for one in found:
        assert sum(one.values()) == pytest.approx(1, abs=1e-12) and min(one.values()) >= 0
        assert one.keys() == natural.keys()
    assert all(abs(found[0][name] - natural[name]) <= 2e-4 for name in natural)


def test_a_known_optimum_is_found():
    proposal, tried, losses = regmix.search(
        lambda number, weights: law(weights, 0.01, number), NATURAL, proxies=24, seed=1
    )
    assert proposal.fit.r2 > 0.8 and proposal.clear and len(tried) == len(losses) == 24
    assert sum(proposal.weights.values()) == pytest.approx(1)
    best, now, found = (
        regmix.mean(law(weights)) for weights in (dict.fromkeys("abc", 1 / 3), NATURAL, proposal.weights)
    )
    assert found - best < 0.2 * (now - best)
    low, high = proposal.interval
    assert low <= found <= high
    for name in NATURAL:
        assert (
            min(one[name] for one in tried) - 1e-4 <= proposal.weights[name] <= max(one[name] for one in tried) + 1e-4
        )


def test_noise_explains_nothing_and_proposes_nothing():
    """Of twenty searches over losses that do not depend on the weights, few claim a clear gain."""
    claims = []
    for seed in range(20):
        random = np.random.default_rng(seed)
        proposal, _, _ = regmix.search(lambda *_: {"x": random.normal(3, 0.1)}, NATURAL, proxies=14, seed=seed)  # noqa: B023
        assert (proposal.weights is None) == (not proposal.fit.explains)
        claims.append(proposal.clear)
    assert sum(claims) <= 2


def test_a_ceiling_holds():
    proposal, _, _ = regmix.search(lambda _, weights: law(weights), NATURAL, proxies=24, seed=1, ceilings={"c": 0.2})
    assert proposal.weights["c"] <= 0.2 + 1e-4


def test_the_penalty_has_the_least_error_left_out():
    """The closed form of the leave-one-out error is that of leaving one out."""
    random = np.random.default_rng(0)
    raw, y = random.normal(size=(12, 4)), random.normal(size=12)
    x = (raw - raw.mean(axis=0)) / raw.std(axis=0)
    chosen = regmix._penalty(raw, y)
    errors = {}
    for penalty in regmix.PENALTIES:
        residuals = []
        for at in range(12):
            rest = np.arange(12) != at
            design = np.column_stack([np.ones(11), x[rest]])
            solved = np.linalg.solve(design.T @ design + penalty * np.diag([0, 1, 1, 1, 1]), design.T @ y[rest])
            residuals.append(y[at] - np.r_[1, x[at]] @ solved)
        errors[float(penalty)] = np.mean(np.square(residuals))
    assert chosen == min(errors, key=errors.get)


def test_too_few_proxies_are_refused():
    with pytest.raises(ValueError, match="a fit needs 6"):
        regmix.fit([NATURAL] * 5, [1.0] * 5)
