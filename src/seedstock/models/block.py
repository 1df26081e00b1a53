"""One layer of the transformer."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from seedstock.models.attention import Attention, Sight
from seedstock.models.cache import LayerCache
from seedstock.models.dropout import Dropout
from seedstock.models.mlp import MLP
from seedstock.models.norms import norm


class Block(nn.Module):
    """Attention, then the MLP, each on the normalised stream and added to it (pre-norm, Xiong et al. 2020)."""

    def __init__(self, config: Any, layer: int, seed: int) -> None:
        super().__init__()
        self.attention_norm = norm(config.norm, config.width, config.norm_epsilon)
        self.attention = Attention(config)
        self.attention_dropout = Dropout(config.dropout, seed, layer, "attention")
        self.mlp_norm = norm(config.norm, config.width, config.norm_epsilon)
        self.mlp = MLP(config)
        self.mlp_dropout = Dropout(config.dropout, seed, layer, "mlp")

    def forward(
        self,
        x_BTD: Tensor,
        angles: tuple[Tensor, Tensor] | None,
        sight: Sight,
        cache: LayerCache | None = None,
        examples_B: Tensor | None = None,
    ) -> Tensor:
        seen_BTD = self.attention(self.attention_norm(x_BTD), angles, sight, cache)
        x_BTD = x_BTD + self.attention_dropout(seen_BTD, examples_B)
        return x_BTD + self.mlp_dropout(self.mlp(self.mlp_norm(x_BTD)), examples_B)
