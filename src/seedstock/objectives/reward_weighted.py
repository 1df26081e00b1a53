"""Reward-weighted regression (Peters and Schaal 2007; Korbak et al. 2023): better documents weigh more."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from seedstock.objectives.base import Batch, Expectation, Spec, Sums, auxiliary_counts, auxiliary_expected
from seedstock.objectives.causal import Causal, targets
from seedstock.objectives.configs.scored import RewardWeightedConfig
from seedstock.objectives.cross_entropy import linear_cross_entropy


class RewardWeighted(Causal):
    """The weighted mean of next tokens' nats, each token with the weight of its document."""

    def __init__(self, config: RewardWeightedConfig, spec: Spec | None = None) -> None:
        super().__init__(config, spec)
        self.config: RewardWeightedConfig = config

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """``tokens``, ``documents``, ``positions`` and ``weights`` (float32) ``[B, T+1]``."""
        c, scores = self.config, items["scores"][..., 0]
        reward = (c.threshold - scores) if c.good == "below" else (scores - c.threshold)
        weights = np.exp(np.minimum(np.nan_to_num(reward) / c.beta, math.log(c.most))).astype(np.float32)
        return {**{name: items[name] for name in ("tokens", "documents", "positions")}, "weights": weights}

    def counts(self, batch: Batch) -> Sums:
        """``reward-weighted``: the weights of predicted tokens, summed; and what the network's own losses count."""
        total = (batch["weights"][:, 1:] * (targets(batch) >= 0)).sum()
        return {"reward-weighted": total, **auxiliary_counts(self.spec, batch)}

    def loss(self, nets: Any, output: Any, batch: Batch) -> tuple[Sums, Sums]:
        """``reward-weighted``: the weighted sum of nats, and of the z-loss if there is one."""
        total, nats = linear_cross_entropy(
            output.hidden.flatten(0, 1),
            nets["network"].head.matrix,
            targets(batch).flatten(),
            self.config.z_loss,
            weights=batch["weights"][:, 1:].flatten(),
        )
        weighted = nats * batch["weights"][:, 1:].flatten()
        own = self.config.z_loss or output.aux
        return {"reward-weighted": total, **output.aux}, {"nats": weighted.sum()} if own else {}

    def expect(self, spec: Spec) -> Expectation:
        """As next-token prediction: a weighted mean of ln V is ln V."""
        first = {"reward-weighted": math.log(spec.vocab_size), **auxiliary_expected(spec)}
        return replace(super().expect(spec), first=first, collapse_at={"reward-weighted": "order 0"})
