"""Unlikelihood (Welleck et al. 2019, equation 3; Korbak et al. 2023): bad documents are made less likely."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch

from seedstock.objectives.base import Batch, Expectation, Spec, Sums, auxiliary_counts, auxiliary_expected
from seedstock.objectives.causal import Causal, targets
from seedstock.objectives.configs.scored import UnlikelihoodConfig
from seedstock.objectives.cross_entropy import linear_cross_entropy
from seedstock.objectives.tags import BAD, sides

SUREST = 1 - 1e-3
"""A bad token that is more likely than this pulls as one of that probability: 1 / (1 - p) has no bound."""


class Unlikelihood(Causal):
    """-ln p of the tokens of good documents, and of those without a score; -ln (1 - p) of those of bad ones.

    Each is a mean over its own tokens, so ``alpha`` does not depend on how many of them there are (in the paper both
    are divided by all tokens: there the weight of the second falls with the share of bad ones).
    """

    def __init__(self, config: UnlikelihoodConfig, spec: Spec | None = None) -> None:
        super().__init__(config, spec)
        self.config: UnlikelihoodConfig = config

    def prepare(self, items: Batch, keys: Any) -> Batch:
        """``tokens``, ``documents``, ``positions``, ``sides`` int64 ``[B, T+1]``."""
        kept = {name: items[name] for name in ("tokens", "documents", "positions")}
        return {**kept, "sides": sides(self.config, items)}

    def counts(self, batch: Batch) -> Sums:
        """``likelihood`` and ``unlikelihood``: predicted tokens of each side; and what the network's losses count."""
        wanted, bad = targets(batch) >= 0, batch["sides"][:, 1:] == BAD
        own = {"likelihood": (wanted & ~bad).sum(), "unlikelihood": (wanted & bad).sum()}
        return {**own, **auxiliary_counts(self.spec, batch)}

    def loss(self, nets: Any, output: Any, batch: Batch) -> tuple[Sums, Sums]:
        """``likelihood`` and ``unlikelihood`` (with its weight).

        The gradient of -ln (1 - p) is that of -ln p times -p / (1 - p): the probabilities are found first, then one
        weighted cross-entropy has both gradients, and no logits are kept.
        """
        matrix, hidden = nets["network"].head.matrix, output.hidden.flatten(0, 1)
        wanted, bad = targets(batch).flatten(), (batch["sides"][:, 1:] == BAD).flatten()
        bad &= wanted >= 0
        good, nats = linear_cross_entropy(hidden, matrix, torch.where(bad, -1, wanted), self.config.z_loss)
        likely = torch.where(bad, wanted, -1)
        with torch.no_grad():
            _, against = linear_cross_entropy(hidden.detach(), matrix.detach(), likely)
            p = torch.exp(-against).clamp(max=SUREST)
            weights = torch.where(bad, -p / (1 - p), 0.0)
            value = (-torch.log1p(-p) * bad).sum()
        pulled, _ = linear_cross_entropy(hidden, matrix, likely, weights=weights)
        alpha = self.config.alpha
        unlikelihood = alpha * (value + pulled - pulled.detach())
        own = self.config.z_loss or output.aux
        sums = {"likelihood": good, "unlikelihood": unlikelihood, **output.aux}
        return sums, {"nats": nats.sum()} if own else {}

    def expect(self, spec: Spec) -> Expectation:
        """Before training every token is as likely as any other: ln V nats, and -ln (1 - 1/V)."""
        V = spec.vocab_size
        first = {"likelihood": math.log(V), "unlikelihood": -self.config.alpha * math.log1p(-1 / V)}
        return replace(
            super().expect(spec), first=first | auxiliary_expected(spec), collapse_at={"likelihood": "order 0"}
        )
