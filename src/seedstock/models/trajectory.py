"""A network over episodes: embeddings of returns, observations and actions, backbone, and no head."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedstock.models.backbone import Backbone
from seedstock.models.block import Block
from seedstock.models.dropout import Dropout
from seedstock.models.initialise import initialise
from seedstock.models.linear import Linear
from seedstock.models.mask import Mask
from seedstock.models.network import Table
from seedstock.models.norms import norm
from seedstock.models.roles import ROLES, assign

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


class TrajectoryNetwork(nn.Module):
    """Embedding and backbone over episodes. ``config`` has every size."""

    vocab_size = 0

    def __init__(self, config: Any, seed: int = 1, device: str = "cpu") -> None:
        super().__init__()
        self.config, self.seed = config, seed
        self.compute_dtype = torch.float32
        with torch.device("meta"):
            self.embedding = StepEmbedding(config, seed)
            self.backbone = Backbone(config, seed)
        if device != "meta":
            self.to_empty(device=device)
            initialise(self, self.roles(), config, seed)

    def roles(self) -> dict[str, str]:
        """The role of each parameter by name (see ``models.roles``)."""
        return assign((name for name, _ in self.named_parameters()), OWN_ROLES)

    def use(self, dtype: torch.dtype) -> TrajectoryNetwork:
        """Computes matrix products and activations in ``dtype`` from now on; the weights stay fp32."""
        self.compute_dtype = dtype
        return self

    def compile(self, **options: Any) -> None:
        """Compiles the block, which every layer shares."""
        for module in self.backbone.modules():
            if isinstance(module, Block):
                module.compile(**options)

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
