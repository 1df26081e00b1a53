"""Published rules for what depends on size: horizon, batch, learning rate, weight decay. Pure functions."""

from __future__ import annotations

import math

TOKENS_A_PARAMETER = 20
"""Compute-optimal tokens for each parameter (Hoffmann et al. 2022, arXiv 2203.15556, table 3)."""

MUON_RATE = 0.02
"""Of orthogonalised updates, at every width (Jordan et al. 2024): their spectral norm is set, so the rate carries over
(Yang et al. 2023, arXiv 2310.17813)."""
MUON_BATCH = 4096
"""Tokens a step below which that rate is too high (docs/benchmarks.md, the size dial)."""


def learning_rate(body: int, tokens: float) -> float:
    """Peak rate of AdamW for ``body`` parameters without embeddings: 1.79 N^-0.713 D^0.307.

    Step Law (Li et al. 2025, arXiv 2503.04715), fitted on 60 M to 1 B parameters and 2 B to 100 B tokens, and
    extrapolated beyond.
    """
    return 1.79 * max(body, 1) ** -0.713 * tokens**0.307


def muon_rate(batch: float) -> float:
    """Peak rate of orthogonalised updates for batches of so many tokens: lower by the root of what a small one lacks.

    An update of a set size has more noise in it the fewer tokens it is of; with the root of the batch the noise of as
    many tokens stays as it is (Malladi et al. 2022, arXiv 2205.10287, for Adam).
    """
    return MUON_RATE * min(1.0, math.sqrt(batch / MUON_BATCH))


def batch_tokens(tokens: float) -> float:
    """Tokens a step with which AdamW does best: 0.58 D^0.571 (Step Law, as above)."""
    return 0.58 * tokens**0.571


def batch_tokens_for_steps(steps: int) -> float:
    """The same where the number of steps is given: the B that solves B = 0.58 (steps B)^0.571."""
    return (0.58 * steps**0.571) ** (1 / (1 - 0.571))


def examples(batch: float, context: int) -> int:
    """Whole examples nearest to a batch in tokens, a power of two."""
    return max(1, 2 ** round(math.log2(max(1.0, batch / context))))


def weight_decay(rate: float, steps: int, tokens_a_parameter: float, mean: float = 0.5) -> float:
    """Decoupled decay so that weights average over the right share of the run: 1 / (rate · steps · timescale).

    AdamW's weights are an exponential average of its updates over 1 / (rate · decay) steps (Wang & Aitchison 2024,
    arXiv 2405.13698); the best share of the run is 1.084 (tokens / parameters)^-0.527 (Bergsma et al. 2025, arXiv
    2505.13738). Theirs is that of the peak rate where the rate falls in a line to nothing, half the peak on ``mean``:
    what a schedule that stays higher takes away in all is made the same.
    """
    return 0.5 / (mean * rate * steps * 1.084 * tokens_a_parameter**-0.527)
