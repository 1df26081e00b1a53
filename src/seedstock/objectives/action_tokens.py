"""Actions told as tokens, from what was seen and done before them (Gato)."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from seedstock.errors import RecipeError
from seedstock.objectives.base import Batch, Expectation, Spec, Sums, auxiliary_counts, auxiliary_expected
from seedstock.objectives.causal import Causal, targets
from seedstock.objectives.configs.action_tokens import ActionTokensConfig

READ = ("acts", "seen_", "return_")


class ActionTokens(Causal):
    """Cross-entropy of the next token where that is an action or of a text."""

    predicts_next = False

    config: ActionTokensConfig

    def __init__(self, config: ActionTokensConfig | None = None, spec: Spec | None = None) -> None:
        super().__init__(config or ActionTokensConfig(), spec)
        specials = dict(spec.specials) if spec is not None else {}
        self.actions = sorted(one for name, one in specials.items() if name.startswith("act_"))
        if spec is not None and not self.actions:
            what = "the input has no episodes as tokens"
            fix = "write input: {kind: tokens, episodes: {observation: 4, action: 2, discrete: true}}"
            raise RecipeError(what, where="input.episodes", fix=fix)
        read = [one for name, one in specials.items() if name.startswith(READ)]
        self.told = torch.ones(spec.vocab_size if spec is not None else 1, dtype=torch.bool)
        self.told[read] = False

    def targets(self, batch: Batch) -> Tensor:
        """``[B, T]``: the token after each position where it is to be told, else -1."""
        found = targets(batch)
        told = self.told.to(found.device)[found.clamp(min=0)]
        return torch.where(told, found, -1)

    def counts(self, batch: Batch) -> Sums:
        """``actions``: what is told; and what the network's own losses count."""
        return {"actions": (self.targets(batch) >= 0).sum(), **auxiliary_counts(self.spec, batch)}

    def loss(self, nets: Any, output: Any, batch: Batch) -> tuple[Sums, Sums]:
        """``actions``: nats of what is told; the metric ``found``: how many of them are the likeliest token."""
        wanted = self.targets(batch).flatten()
        chosen = torch.nonzero(wanted >= 0).flatten() if wanted.device.type == "cpu" else slice(None)
        scores, wanted = nets["network"].head(output.hidden.flatten(0, 1)[chosen]).float(), wanted[chosen]
        nats = F.cross_entropy(scores, wanted, ignore_index=-1, reduction="sum")
        found = ((scores.detach().argmax(-1) == wanted) & (wanted >= 0)).sum()
        return {"actions": nats, **output.aux}, {"found": found}

    def expect(self, spec: Any) -> Expectation:
        """Before training every token is as likely as any other: ln V nats."""
        return Expectation(
            first={"actions": math.log(spec.vocab_size), **auxiliary_expected(spec)},
            floor="as many actions as there are, each as likely",
            collapse="the loss stays at the logarithm of how many actions there are: what is seen is not used",
            metrics={"found": "share of actions (and of tokens of texts) that are the likeliest"},
            collapse_at={"actions": math.log(max(2, len(self.actions)))},
        )
