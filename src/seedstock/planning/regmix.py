"""Proposes a mixture from small runs: a regression from weights to held-out loss (RegMix: Liu et al. 2024, arXiv
2407.01492).

The paper fits gradient-boosted trees or a linear model to hundreds of proxies; this is ridge regression on the weights
and their logarithms, which a dozen or two can carry (squares and products of logarithms could not: see
docs/negative-results.md). How far to trust it is measured on proxies that the fit has not seen, penalty included.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from seedstock.ledger.ids import keyed

FLOOR = 0.005  # of a weight: a logarithm needs one, and nobody wants a group to vanish unseen
CANDIDATES, BEST = 50_000, 100
PENALTIES = np.logspace(-3, 4, 15)
LEAST = 6  # proxies

Weights = dict[str, float]


def draw(natural: Mapping[str, float], count: int, seed: int) -> list[Weights]:
    """``count`` mixtures: the natural one first, then draws of Dirichlet distributions around it, wide and narrow."""
    names = sorted(natural)
    found = [_rounded(names, np.array([natural[name] for name in names]))]
    found += [_rounded(names, one) for one in _dirichlet(natural, count - 1, seed, "proxies")] if count > 1 else []
    return found[:count]


def _dirichlet(natural: Mapping[str, float], count: int, seed: int, purpose: str) -> np.ndarray:
    """Weights, float64 [count, groups in sorted order]; the concentration is uniform in its logarithm."""
    key = keyed(b"seedstock", "regmix", str(seed).encode(), purpose.encode())
    generator = np.random.Generator(np.random.PCG64(int.from_bytes(key, "big")))
    centre = np.array([natural[name] for name in sorted(natural)])
    centre = centre.clip(FLOOR) / centre.clip(FLOOR).sum()
    size = len(centre)
    concentration = np.exp(generator.uniform(math.log(size / 2), math.log(8 * size), count))
    drawn = generator.standard_gamma(concentration[:, None] * centre) + 1e-300
    drawn = (drawn / drawn.sum(axis=1, keepdims=True)).clip(FLOOR)
    return drawn / drawn.sum(axis=1, keepdims=True)


def _rounded(names: Sequence[str], values: np.ndarray) -> Weights:
    """Whole hundredths of a per cent that come to 1."""
    units = np.floor(values / values.sum() * 10_000).astype(int)
    units[np.argsort(units - values / values.sum() * 10_000, kind="stable")[: 10_000 - units.sum()]] += 1
    return {name: unit / 10_000 for name, unit in zip(names, units.tolist(), strict=True)}


@dataclass(frozen=True)
class Fit:
    """A ridge regression. ``r2`` is of proxies that were left out, one by one, the penalty chosen without them;
    ``error`` the root of their mean squared error, in the unit of the loss."""

    names: tuple[str, ...]
    middle: np.ndarray
    scale: np.ndarray
    centre: float
    coefficients: np.ndarray
    spread: np.ndarray
    penalty: float
    r2: float
    error: float

    @property
    def explains(self) -> bool:
        """Whether it says more of a proxy that it has not seen than the mean of the others does."""
        return self.r2 > 0

    def predict(self, weights: np.ndarray) -> np.ndarray:
        """Losses of mixtures [N, groups]: float64 [N]."""
        return self.centre + self._design(weights) @ self.coefficients

    def interval(self, weights: np.ndarray) -> tuple[float, float]:
        """About 95 %: two errors around the prediction of one mixture, wider where few proxies are near."""
        row = self._design(weights[None])[0]
        half = 2 * self.error * math.sqrt(1 + float(row @ self.spread @ row))
        value = float(self.predict(weights[None])[0])
        return value - half, value + half

    def _design(self, weights: np.ndarray) -> np.ndarray:
        return (_features(weights) - self.middle) / self.scale


def fit(mixtures: Sequence[Weights], losses: Sequence[float]) -> Fit:
    """Fits losses to mixtures of the same groups. Raises ValueError below ``LEAST`` of them."""
    if len(mixtures) < LEAST:
        raise ValueError(f"{len(mixtures)} proxies; a fit needs {LEAST}")
    names = tuple(sorted(mixtures[0]))
    raw = _features(np.array([[mixture[name] for name in names] for mixture in mixtures]))
    y = np.array(losses, float)
    apart = np.empty(len(y))
    base = np.empty(len(y))
    for at in range(len(y)):
        rest = np.arange(len(y)) != at
        middle, scale, centre, solved, _ = _ridge(raw[rest], y[rest], _penalty(raw[rest], y[rest]))
        apart[at] = y[at] - centre - (raw[at] - middle) / scale @ solved
        base[at] = y[at] - y[rest].mean()
    penalty = _penalty(raw, y)
    middle, scale, centre, solved, spread = _ridge(raw, y, penalty)
    total = float((base**2).sum())
    r2 = 1 - float((apart**2).sum()) / total if total > 0 else 0.0
    return Fit(names, middle, scale, centre, solved, spread, penalty, r2, math.sqrt(float((apart**2).mean())))


def _features(weights: np.ndarray) -> np.ndarray:
    """Weights and their logarithms, [N, 2 K]: what a group's own text does for it falls off like a logarithm."""
    return np.concatenate([weights, np.log(weights.clip(FLOOR / 10))], axis=1)


def _ridge(raw: np.ndarray, y: np.ndarray, penalty: float) -> tuple[Any, Any, float, Any, Any]:
    middle, scale = raw.mean(axis=0), raw.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    x, centre = (raw - middle) / scale, float(y.mean())
    inverse = np.linalg.inv(x.T @ x + penalty * np.eye(x.shape[1]))
    return middle, scale, centre, inverse @ x.T @ (y - centre), inverse


def _penalty(raw: np.ndarray, y: np.ndarray) -> float:
    """The penalty of the smallest leave-one-out error, in closed form (Allen 1974: PRESS)."""
    x = (raw - raw.mean(axis=0)) / np.where(raw.std(axis=0) > 0, raw.std(axis=0), 1.0)
    left, sizes, _ = np.linalg.svd(x, full_matrices=False)
    centred = y - y.mean()
    errors = []
    for penalty in PENALTIES:
        shrunk = sizes**2 / (sizes**2 + penalty)
        hat = 1 / len(y) + (left**2 * shrunk).sum(axis=1)
        residual = centred - left @ (shrunk * (left.T @ centred))
        errors.append(float(((residual / (1 - hat).clip(1e-9)) ** 2).mean()))
    return float(PENALTIES[int(np.argmin(errors))])


@dataclass(frozen=True)
class Proposal:
    """``weights`` (None: the fit explains nothing), the losses that are expected of them and of the natural mixture
    with about 95 % intervals, and ``clear``: whether the gain is above the fit's error on mixtures it has not seen."""

    weights: Weights | None
    expected: float | None
    interval: tuple[float, float] | None
    natural: float
    clear: bool
    fit: Fit


def propose(
    found: Fit, natural: Mapping[str, float], tried: Sequence[Weights], seed: int, ceilings: Mapping[str, float]
) -> Proposal:
    """The mean of the best of many mixtures, none beyond what was tried of a group or above its ceiling."""
    now = float(found.predict(np.array([[natural[name] for name in found.names]]))[0])
    candidates = _dirichlet(natural, CANDIDATES, seed, "candidates")
    seen = np.array([[one[name] for name in found.names] for one in tried])
    most = np.minimum(seen.max(axis=0), [ceilings.get(name, 1.0) for name in found.names])
    inside = ((candidates >= seen.min(axis=0)) & (candidates <= most)).all(axis=1)
    candidates = candidates[inside]
    if not found.explains or not len(candidates):
        return Proposal(None, None, None, now, False, found)
    best = candidates[np.argsort(found.predict(candidates), kind="stable")[:BEST]].mean(axis=0)
    weights = _rounded(found.names, best)
    values = np.array([weights[name] for name in found.names])
    expected = float(found.predict(values[None])[0])
    return Proposal(weights, expected, found.interval(values), now, now - expected > found.error, found)


def search(
    train: Callable[[int, Weights], Mapping[str, float]],
    natural: Mapping[str, float],
    *,
    proxies: int,
    seed: int,
    ceilings: Mapping[str, float] | None = None,
) -> tuple[Proposal, list[Weights], list[dict[str, float]]]:
    """Trains proxies one after another and proposes: ``train(number, weights)`` gives the held-out loss by group.

    The loss that is fitted is the mean over those groups, each counting once. Returns the proposal, and the mixtures
    with their losses.
    """
    mixtures = draw(natural, proxies, seed)
    losses = [dict(train(number, weights)) for number, weights in enumerate(mixtures)]
    found = fit(mixtures, [mean(one) for one in losses])
    return propose(found, natural, mixtures, seed, ceilings or {}), mixtures, losses


def mean(losses: Mapping[str, float]) -> float:
    """The mean over groups, each counting once."""
    return math.fsum(losses.values()) / len(losses)
