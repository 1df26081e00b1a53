"""A network over episodes: embeddings of returns, observations and actions, backbone, and no head."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedstock.models.backbone import Backbone
from seedstock.models.dropout import Dropout
from seedstock.models.linear import Linear
from seedstock.models.mask import Mask
from seedstock.models.network import Table
from seedstock.models.norms import norm
from seedstock.models.roles import ROLES
from seedstock.models.whole import Whole

OWN_ROLES = (
    ("embedding.returns.weight", "column"),
    ("embedding.observations.weight", "column"),
    ("embedding.actions.weight", "column"),
    *ROLES,
)


class StepEmbedding(nn.Module):
    """Steps to places of the backbone's width, three a step: return to go, observation, action."""

    def __init__(self, config: Any, seed: int) -> None:
        super().__init__()
        self.discrete, self.longest = config.discrete, config.longest
        self.returns = Linear(1, config.width, True)
        self.observations = Linear(config.observation, config.width, True)
        self.actions = Linear(config.action, config.width, True)
        self.steps = Table(config.longest, config.width)
        self.norm = norm(config.norm, config.width, config.norm_epsilon)
        self.dropout = Dropout(config.dropout, seed, "embedding")

    def forward(
        self,
        returns_BT: Tensor,
        observations_BTO: Tensor,
        actions: Tensor,
        steps_BT: Tensor,
        dtype: torch.dtype,
        examples_B: Tensor | None,
    ) -> Tensor:
        given_BTA = F.one_hot(actions.long(), self.actions.weight.shape[1]) if self.discrete else actions
        number_BTD = self.steps(steps_BT.clamp(max=self.longest - 1), dtype)
        each = (
            self.returns(returns_BT[..., None].to(dtype)),
            self.observations(observations_BTO.to(dtype)),
            self.actions(given_BTA.to(dtype)),
        )
        x_BTD = torch.stack([one + number_BTD for one in each], dim=2).flatten(1, 2)
        return self.dropout(self.norm(x_BTD), examples_B)


class TrajectoryNetwork(Whole):
    """Embedding and backbone over episodes. ``config`` has every size."""

    role_patterns = OWN_ROLES

    def assemble(self) -> None:
        """Embedding and backbone."""
        self.embedding = StepEmbedding(self.config, self.seed)
        self.backbone = Backbone(self.config, self.seed)

    def inputs(
        self,
        returns_BT: Tensor,
        observations_BTO: Tensor,
        actions: Tensor,
        first_B: Tensor,
        examples_B: Tensor | None = None,
    ) -> dict[str, Any]:
        """What the backbone is called with for windows that begin with step ``first`` of their episodes; each place
        sees those before it. Actions are ``[B, T, A]``, or numbers ``[B, T]`` where they are discrete."""
        steps_BT = first_B.long()[:, None] + torch.arange(returns_BT.shape[1], device=returns_BT.device)
        given = returns_BT, observations_BTO, actions, steps_BT
        x_BTD = self.embedding(*given, self.compute_dtype, examples_B)
        positions = torch.arange(x_BTD.shape[1], device=x_BTD.device)[None]
        return {"x": x_BTD, "positions": positions, "attention": Mask("causal"), "examples": examples_B}

    def forward(self, returns: Tensor, observations: Tensor, actions: Tensor, first: Tensor | None = None) -> Tensor:
        """The last hidden states ``[B, 3 · T, D]``."""
        first = torch.zeros(len(returns), dtype=torch.int64, device=returns.device) if first is None else first
        return self.backbone(**self.inputs(returns, observations, actions, first)).hidden
