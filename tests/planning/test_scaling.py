"""Scaling laws: the fitter finds laws that are known, says how well, and refuses what no law can be fitted to."""

from __future__ import annotations

import json

import numpy as np
import pytest

from seedstock.errors import DataError
from seedstock.planning.isoflop import profiles
from seedstock.planning.scaling import NAMES, Law, _loss, fit

EPOCH = {"A": 482.0, "B": 2085.0, "E": 1.8169, "alpha": 0.348, "beta": 0.366}
"""Chinchilla's data, fitted anew by Besiroglu et al. 2024."""


def runs(count=80, noise=0.003, seed=0):
    random = np.random.default_rng(seed)
    N = np.exp(random.uniform(np.log(5e7), np.log(1.6e10), count))
    D = np.exp(random.uniform(np.log(1e9), np.log(5e11), count))
    L = EPOCH["E"] + EPOCH["A"] / N ** EPOCH["alpha"] + EPOCH["B"] / D ** EPOCH["beta"]
    return N, D, L * np.exp(random.normal(0, noise, count))


@pytest.fixture(scope="module")
def law():
    return fit(*runs(), samples=150)


def test_public_constants_are_found_within_their_intervals():
    within = 0
    for seed in range(3):
        law = fit(*runs(seed=seed), samples=150)
        assert law.converged and law.agreeing > 0.5
        for name, (low, high) in law.intervals().items():
            within += low <= EPOCH[name] <= high
            assert high / low < 3, name
        said = law.predict(70e9, 1.4e12)
        true = EPOCH["E"] + EPOCH["A"] / 70e9 ** EPOCH["alpha"] + EPOCH["B"] / 1.4e12 ** EPOCH["beta"]
        assert said["interval"][0] < true < said["interval"][1]
        assert said["loss"] == pytest.approx(true, rel=0.01)
    assert within >= 13  # of 15, at 95 % each


def test_without_noise_the_law_itself_is_found():
    found = fit(*runs(30, noise=0.0), samples=2)
    for name in NAMES:
        assert getattr(found, name) == pytest.approx(EPOCH[name], rel=2e-2), name


def test_an_outlier_moves_little(law):
    N, D, L = runs()
    L[7] *= 3
    assert fit(N, D, L, samples=2).loss(70e9, 1.4e12) == pytest.approx(law.loss(70e9, 1.4e12), rel=0.01)


def test_the_same_runs_give_the_same_law_and_it_survives_json(law):
    assert Law.of(json.loads(json.dumps(law.record()))) == law
    few = runs(20)
    assert fit(*few, samples=5).record() == fit(*few, samples=5).record()


def test_runs_of_nearly_one_size_do_not_determine_its_exponent(law):
    assert law.unknown() == []
    N, D, _ = runs(30)
    N = 1e9 * (N / N.mean()) ** 0.02
    L = EPOCH["E"] + EPOCH["A"] / N ** EPOCH["alpha"] + EPOCH["B"] / D ** EPOCH["beta"]
    noise = np.exp(np.random.default_rng(3).normal(0, 0.003, 30))
    assert "alpha" in fit(N, D, L * noise, samples=60).unknown()


def test_the_optimum_is_one(law):
    best, tokens = law.optimal(1e21)
    assert 6 * best * tokens == pytest.approx(1e21)
    for factor in (0.5, 2):
        assert law.loss(best * factor, tokens / factor) > law.loss(best, tokens)


def test_repeated_tokens_are_worth_less_and_less(law):
    fresh = law.loss(1e9, 4e10)
    assert law.loss(1e9, 4e10, unique=8e10) == fresh
    repeated = [law.loss(1e9, 4e10, unique=4e10 / passes) for passes in (2, 4, 16, 64)]
    assert fresh < repeated[0] and repeated == sorted(repeated)
    assert law.loss(1e9, 4e10, unique=1e10) < law.loss(1e9, 1e10)
    # Up to four passes are almost as good as new tokens (Muennighoff et al. 2023, section 1).
    assert law.loss(1e9, 4e10, unique=1e10) - fresh < 0.15 * (law.loss(1e9, 1e10) - fresh)


def test_repeated_tokens_follow_the_published_form():
    laws = np.array([[521.0, 1488.0, 1.87, 0.353, 0.353]])
    N, D, U = 1e8, 8e9, 2e9
    worth = U + U * 15.387756 * (1 - np.exp(-3 / 15.387756))
    assert _loss(laws, N, D, U)[0] == pytest.approx(1.87 + 521 / N**0.353 + 1488 / worth**0.353, rel=1e-6)


@pytest.mark.parametrize(
    "table, what",
    [
        (([1, 2, 3], [1, 2, 3], [1, 1, 1]), "too few"),
        (([1e6] * 9, list(range(1, 10)), [3.0] * 9), "1 sizes"),
        (([1e6, 2e6, 3e6] * 3, list(range(1, 10)), [float("nan")] * 9), "finite"),
        (([1e6, 2e6, 3e6] * 3, list(range(1, 10)), [0.0] * 9), "not above zero"),
    ],
)
def test_what_no_law_can_be_fitted_to_is_refused(table, what):
    with pytest.raises(DataError, match=what):
        fit(*table)


def test_profiles_find_the_exponent_of_a_law(law):
    """Minima of parabolas through a law's own losses follow its exponent, beta / (alpha + beta)."""
    N, C = (one.ravel() for one in np.meshgrid(np.geomspace(0.35, 2.8, 7), np.geomspace(1e18, 1e22, 5)))
    N = N * (C / 6) ** 0.5 * 0.11
    L = EPOCH["E"] + EPOCH["A"] / N ** EPOCH["alpha"] + EPOCH["B"] / (C / 6 / N) ** EPOCH["beta"]
    found = profiles(N, C, L, samples=50)
    exponent = EPOCH["beta"] / (EPOCH["alpha"] + EPOCH["beta"])
    assert len(found.profiles) == 5 and found.exponent == pytest.approx(exponent, abs=0.02)
    low, high = found.interval
    assert low - 0.02 <= found.exponent <= high + 0.02
    assert found.optimal(1e21) == pytest.approx(law.optimal(1e21)[0], rel=0.3)


def test_profiles_need_three_sizes_of_one_budget():
    with pytest.raises(DataError, match="3 sizes"):
        profiles([1e6, 2e6], [1e15, 1e15], [3.0, 3.1])
