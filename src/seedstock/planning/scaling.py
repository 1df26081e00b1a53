"""Scaling laws from small runs: how the loss falls with parameters and tokens, with intervals, and what it foresees.

The parametric form is Chinchilla's (Hoffmann et al. 2022, arXiv 2203.15556), L = E + A N^-alpha +
B D^-beta, fitted as there: Huber's loss on logarithms, from many starts. Their optimizer stopped early, and their
intervals could not be right (Besiroglu et al. 2024, arXiv 2404.10102); so a fit says whether it converged, and
intervals come from fits of resampled runs. Free of torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seedstock.errors import DataError

Array = NDArray[np.float64]

DELTA = 1e-3
"""Where Huber's loss turns from square to straight (Hoffmann et al. 2022, appendix D.3)."""
STARTS = tuple(product((-1.0, 0.0, 1.0), (0.2, 0.5, 1.0), (0.2, 0.5, 1.0), (-1.0, 1.0), (-1.0, 1.0)))
"""Where the search begins: log E about the least loss, alpha, beta, and the shares of the two terms (logits)."""
SAMPLES = 400
"""Resamplings of the runs for intervals."""
LEAST, LEAST_LEVELS = 6, 3
"""Runs that a fit needs, and sizes and numbers of tokens among them: five numbers are fitted."""
REPEATS, EXCESS = 15.387756, 5.309743
"""How fast repeated tokens and excess parameters lose worth (Muennighoff et al. 2023, arXiv 2305.16264, app. A)."""
WIDE = 3.0
NAMES = ("A", "B", "E", "alpha", "beta")


@dataclass(frozen=True)
class Law:
    """L(N, D) = E + A / N^alpha + B / D^beta, and how well it is known.

    ``samples`` are laws of resampled runs (rows: A, B, E, alpha, beta), ``residuals`` of the fit in log loss.
    ``agreeing`` is the share of starts that ended within a thousandth of the best; ``gradient`` what is left of the
    objective's slope, over what it was at the typical start.
    """

    A: float
    B: float
    E: float
    alpha: float
    beta: float
    samples: list[list[float]]
    residuals: list[float]
    agreeing: float
    gradient: float
    converged: bool

    @classmethod
    def known(cls, constants: Mapping[str, float]) -> Law:
        """A law that somebody published: A, B, E, alpha and beta, and nothing of how well it is known."""
        A, B, E, alpha, beta = own = [float(constants[name]) for name in NAMES]
        return cls(A, B, E, alpha, beta, [own], residuals=[0.0], agreeing=1.0, gradient=0.0, converged=True)

    def loss(self, parameters: float, tokens: float, unique: float | None = None, base: float = 0.0) -> float:
        """The loss of ``parameters`` trained on ``tokens``, of which ``unique`` are different ones, after as much as
        ``base`` further tokens of the same are worth."""
        own = np.array([[self.A, self.B, self.E, self.alpha, self.beta]])
        return float(_loss(own, parameters, tokens, unique, base)[0])

    def predict(
        self, parameters: float, tokens: float, unique: float | None = None, base: float = 0.0
    ) -> dict[str, Any]:
        """The loss and where 95 % of runs should end: resampled laws, each with each of the fit's residuals."""
        drawn = np.array(self.samples)
        # Five numbers are fitted: what is left of so few runs is smaller than their scatter.
        left = np.array(self.residuals) * math.sqrt(len(self.residuals) / max(1, len(self.residuals) - len(NAMES)))
        spread = np.log(_loss(drawn, parameters, tokens, unique, base))[:, None] + left[None]
        low, high = np.exp(np.quantile(spread, (0.025, 0.975)))
        return {"loss": self.loss(parameters, tokens, unique, base), "interval": [float(low), float(high)]}

    def intervals(self, level: float = 0.95) -> dict[str, tuple[float, float]]:
        """Of each constant, from the resampled laws."""
        tail = (1 - level) / 2
        low, high = np.quantile(np.array(self.samples), (tail, 1 - tail), axis=0)
        return {name: (float(low[i]), float(high[i])) for i, name in enumerate(NAMES)}

    def unknown(self) -> list[str]:
        """The exponents that the runs hardly determine: their intervals span more than a factor of ``WIDE``."""
        known = self.intervals()
        return [name for name in ("alpha", "beta") if known[name][1] > WIDE * max(known[name][0], 1e-9)]

    def optimal(self, flops: float) -> tuple[float, float]:
        """Parameters and tokens with the least loss for ``flops``, at 6 for each of both (their equation 4)."""
        ratio = (self.alpha * self.A / (self.beta * self.B)) ** (1 / (self.alpha + self.beta))
        share = self.beta / (self.alpha + self.beta)
        return ratio * (flops / 6) ** share, (flops / 6) ** (1 - share) / ratio

    def record(self) -> dict[str, Any]:
        """Everything, as JSON keeps it."""
        return asdict(self)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Law:
        """The way back from ``record``."""
        return cls(**record)


def effective(
    laws: Array, parameters: float, tokens: float, unique: float | None, base: float = 0.0
) -> tuple[Array, Array]:
    """Parameters and tokens as much as they are worth under each law, where tokens repeat.

    Muennighoff et al. 2023, equations 5 and 6: D' = U + U R* (1 - e^(-R / R*)) with R repetitions of U unique tokens,
    and N' alike, with the parameters that U unique tokens bear at the best use of compute in the place of U. Tokens of
    a ``base`` are added to D' and to the U that bears parameters: they do not come again.
    """
    A, B, _, alpha, beta = laws.T
    if unique is None or unique >= tokens:
        return np.full(len(laws), parameters), np.full(len(laws), tokens + base)
    worth = unique * (1 + REPEATS * (1 - math.exp(-(tokens / unique - 1) / REPEATS)))
    ratio = (alpha * A / (beta * B)) ** (1 / (alpha + beta))
    bears = np.minimum(parameters, ratio * (ratio * (unique + base)) ** (beta / alpha))
    more = bears * (1 + EXCESS * (1 - np.exp(-(parameters / bears - 1) / EXCESS)))
    return more, np.full(len(laws), worth + base)


def _loss(laws: Array, parameters: float, tokens: float, unique: float | None, base: float = 0.0) -> Array:
    A, B, E, alpha, beta = laws.T
    N, D = effective(laws, parameters, tokens, unique, base)
    return E + A / N**alpha + B / D**beta


def fit(
    parameters: Sequence[float],
    tokens: Sequence[float],
    losses: Sequence[float],
    *,
    seed: int = 1,
    samples: int = SAMPLES,
) -> Law:
    """The law of runs: ``parameters``, ``tokens`` and the ``losses`` they ended with, one of each a run; the same for
    the same ``seed``.

    Raises DataError where they are too few, not finite, or of too few sizes or lengths to tell the terms apart.
    """
    N, D, L = (np.array(one, float) for one in (parameters, tokens, losses))
    _check(N, D, L)
    problem = _Problem(N, D, L)
    everything = np.ones((1, len(L)))
    begins = problem.starts()
    ends, values = problem.descend(begins, np.repeat(everything, len(begins), 0), 120)
    order = np.argsort(values)
    best, slope = problem.polish(ends[order[0]], everything[0])
    value = float(problem.value(best[None], everything)[0])
    agreeing = float(np.mean(values <= value * 1.001 + 1e-12))
    typical = float(np.median(np.abs(problem.slope(begins, np.repeat(everything, len(begins), 0))).max(1)))
    gradient = slope / typical
    counts = np.random.default_rng(seed).multinomial(len(L), np.full(len(L), 1 / len(L)), samples).astype(float)
    drawn, _ = problem.descend(np.repeat(best[None], samples, 0), counts, 80)
    residuals = problem.model(best[None])[0] - np.log(L)
    converged = gradient < 1e-5 and agreeing >= 2 / len(begins)
    A, B, E, alpha, beta = problem.law(best[None])[0].tolist()
    return Law(A, B, E, alpha, beta, problem.law(drawn).tolist(), (-residuals).tolist(), agreeing, gradient, converged)


def _check(N: Array, D: Array, L: Array) -> None:
    if not (len(N) == len(D) == len(L)) or not np.isfinite(np.stack([N, D, L])).all() or min(N.min(), D.min()) <= 0:
        raise DataError("runs need a size, tokens and a finite loss each", where="scaling law", fix="look at the table")
    if L.min() <= 0:
        raise DataError("a loss is not above zero", where="scaling law", fix="fit bits per byte or nats, not scores")
    sizes, lengths = (len(np.unique(np.round(np.log(one), 2))) for one in (N, D))
    if len(L) < LEAST or min(sizes, lengths) < LEAST_LEVELS:
        raise DataError(
            f"{len(L)} runs of {sizes} sizes and {lengths} numbers of tokens are too few to fit a law",
            where="scaling law",
            fix=f"take {LEAST} runs or more, of {LEAST_LEVELS} sizes and {LEAST_LEVELS} numbers of tokens or more",
        )


class _Problem:
    """Log losses about the middle of the runs: log L = logsumexp(a - alpha x, b - beta y, e), five numbers a row."""

    def __init__(self, N: Array, D: Array, L: Array) -> None:
        self.middle = np.log(N).mean(), np.log(D).mean()
        self.x, self.y, self.target = np.log(N) - self.middle[0], np.log(D) - self.middle[1], np.log(L)

    def starts(self) -> Array:
        """[S, 5]: a, b, e, alpha, beta; the terms share what is above E."""
        floor, found = self.target.min(), []
        for low, alpha, beta, split, above in STARTS:
            e = floor - 0.2 * math.exp(low)
            rest = floor + math.log1p(-math.exp(e - floor)) + 0.2 * above
            found.append((rest - np.logaddexp(0, -split), rest - np.logaddexp(0, split), e, alpha, beta))
        return np.array(found)

    def terms(self, at: Array) -> Array:
        """[3, S, n]: the logarithms of the three terms."""
        a, b, e, alpha, beta = (one[:, None] for one in at.T)
        return np.stack([a - alpha * self.x, b - beta * self.y, e + 0 * self.x])

    def model(self, at: Array) -> Array:
        """[S, n]: log losses."""
        return np.logaddexp.reduce(self.terms(at), axis=0)

    def jacobian(self, at: Array) -> tuple[Array, Array]:
        """[S, n] residuals and [S, n, 5] their slopes."""
        terms = self.terms(at)
        whole = np.logaddexp.reduce(terms, axis=0)
        one, two, three = np.exp(terms - whole)
        return whole - self.target, np.stack([one, two, three, -self.x * one, -self.y * two], -1)

    def value(self, at: Array, counts: Array) -> Array:
        """[S]: Huber's loss, summed over runs that count so often."""
        size = np.abs(self.model(at) - self.target)
        return (counts * np.where(size <= DELTA, size**2 / 2, DELTA * (size - DELTA / 2))).sum(1)

    def slope(self, at: Array, counts: Array) -> Array:
        """[S, 5]: its gradient."""
        residual, jacobian = self.jacobian(at)
        return np.einsum("sn,snk->sk", counts * np.clip(residual, -DELTA, DELTA), jacobian)

    def descend(self, at: Array, counts: Array, steps: int) -> tuple[Array, Array]:
        """From every row at once: damped least squares, reweighted to Huber's loss (Levenberg, Marquardt)."""
        at, damping = at.copy(), np.full(len(at), 1e-2)
        now = self.value(at, counts)
        for _ in range(steps):
            residual, jacobian = self.jacobian(at)
            weights = counts * np.minimum(1.0, DELTA / np.maximum(np.abs(residual), 1e-300))
            square = np.einsum("snk,sn,snl->skl", jacobian, weights, jacobian)
            towards = np.einsum("snk,sn,sn->sk", jacobian, weights, residual)
            scale = np.einsum("skk->sk", square).max(1)[:, None, None] + 1e-300
            move = np.linalg.solve(square + damping[:, None, None] * scale * np.eye(5), -towards[..., None])[..., 0]
            tried = at + np.clip(move, -2, 2)
            new = self.value(tried, counts)
            better = new < now
            at[better], now[better] = tried[better], new[better]
            damping = np.clip(np.where(better, damping / 3, damping * 4), 1e-12, 1e6)
        return at, now

    def polish(self, at: Array, counts: Array) -> tuple[Array, float]:
        """To the end: quasi-Newton steps (BFGS) with halving; what is left of the slope."""
        inverse, slope = np.eye(5), self.slope(at[None], counts[None])[0]
        now = self.value(at[None], counts[None])[0]
        for _ in range(500):
            move = -inverse @ slope
            if slope @ move >= 0:
                inverse, move = np.eye(5), -slope
            length = 1.0
            while (new := self.value((at + length * move)[None], counts[None])[0]) > now + 1e-4 * length * slope @ move:
                length /= 2
                if length < 1e-14:
                    return at, float(np.abs(slope).max())
            step = length * move
            at, now = at + step, new
            then, slope = slope, self.slope(at[None], counts[None])[0]
            change = slope - then
            along = step @ change
            if along > 1e-18:
                turn = np.eye(5) - np.outer(step, change) / along
                inverse = turn @ inverse @ turn.T + np.outer(step, step) / along
        return at, float(np.abs(slope).max())

    def law(self, at: Array) -> Array:
        """[S, 5]: A, B, E, alpha, beta in the runs' own units."""
        a, b, e, alpha, beta = at.T
        A, B = np.exp(np.minimum([a + alpha * self.middle[0], b + beta * self.middle[1]], 700.0))
        return np.stack([A, B, np.exp(e), alpha, beta], -1)
