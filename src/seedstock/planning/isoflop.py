"""IsoFLOP profiles: for each compute budget a parabola of the loss over log parameters, and a power law of its minima
(Hoffmann et al. 2022, arXiv 2203.15556, section 3.2). Free of torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedstock.errors import DataError

Array = NDArray[np.float64]

NEAR = 0.1
"""Budgets that differ by less than this, in log FLOPs, are one."""
LEAST = 3
"""Runs that a parabola needs."""


@dataclass(frozen=True)
class Profile:
    """Of one budget: the size with the least loss, that loss, and whether it lies among the sizes that were tried."""

    flops: float
    parameters: float
    loss: float
    inside: bool


@dataclass(frozen=True)
class Profiles:
    """Parabolas, and parameters = exp(intercept) FLOPs^exponent through their minima, with 95 % intervals."""

    profiles: list[Profile]
    exponent: float | None
    intercept: float | None
    interval: tuple[float, float] | None

    def optimal(self, flops: float) -> float | None:
        """The best size for a budget; None where fewer than two parabolas have a minimum."""
        if self.exponent is None or self.intercept is None:
            return None
        return float(np.exp(self.intercept + self.exponent * np.log(flops)))

    def record(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return asdict(self)


def profiles(
    parameters: Sequence[float], flops: Sequence[float], losses: Sequence[float], *, seed: int = 1, samples: int = 400
) -> Profiles:
    """Groups runs by compute and fits a parabola to each group of ``LEAST`` sizes or more.

    Raises DataError where there is no such group.
    """
    N, C, L = (np.array(one, float) for one in (parameters, flops, losses))
    groups = [rows for rows in _groups(C) if len(np.unique(N[rows])) >= LEAST]
    if not groups:
        raise DataError(
            f"no compute budget has runs of {LEAST} sizes", where="isoFLOP profiles", fix="sweep with --flops"
        )
    found = [_profile(N[rows], C[rows], L[rows]) for rows in groups]
    known = [one for one in found if one is not None and one.inside]
    line = _line(known)
    interval = None
    if line is not None:
        random, slopes = np.random.default_rng(seed), []
        residuals = [L[rows] - _curve(N[rows], L[rows]) for rows in groups]
        for _ in range(samples):  # residuals are drawn anew: a parabola of three resampled runs would be none
            drawn = []
            for rows, off in zip(groups, residuals, strict=True):
                spread = random.choice(off, len(off)) * np.sqrt(len(off) / max(1, len(off) - 3))
                drawn.append(_profile(N[rows], C[rows], _curve(N[rows], L[rows]) + spread))
            again = _line([one for one in drawn if one is not None])
            slopes += [again[0]] if again else []
        if slopes:
            low, high = np.quantile(slopes, (0.025, 0.975))
            interval = float(low), float(high)
    exponent, intercept = line or (None, None)
    return Profiles([one for one in found if one is not None], exponent, intercept, interval)


def _groups(C: Array) -> list[Array]:
    order = np.argsort(C)
    cuts = np.flatnonzero(np.diff(np.log(C[order])) > NEAR) + 1
    return np.split(order, cuts)


def _curve(N: Array, L: Array) -> Array:
    return np.asarray(np.polyval(np.polyfit(np.log(N), L, 2), np.log(N)), np.float64)


def _profile(N: Array, C: Array, L: Array) -> Profile | None:
    """None where the curve has no lowest point."""
    x = np.log(N)
    middle = x.mean()
    square, straight, level = np.polyfit(x - middle, L, 2)
    if square <= 0:
        return None
    lowest = -straight / (2 * square)
    inside = bool(x.min() <= middle + lowest <= x.max())
    best = float(level - straight**2 / (4 * square))
    return Profile(float(np.exp(np.log(C).mean())), float(np.exp(middle + lowest)), best, inside)


def _line(found: list[Profile]) -> tuple[float, float] | None:
    if len(found) < 2:
        return None
    slope, start = np.polyfit(np.log([one.flops for one in found]), np.log([one.parameters for one in found]), 1)
    return float(slope), float(start)
