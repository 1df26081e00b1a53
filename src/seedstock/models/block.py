"""One layer of the transformer."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from seedstock.models.attention import Attention, Sight
from seedstock.models.cache import LayerCache
from seedstock.models.convolution import Convolution
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
        taps = config.convolution
        self.attention_convolution = Convolution(config.width, taps, "attention") if taps else None
        self.mlp_convolution = Convolution(config.width, taps, "mlp") if taps else None

    def forward(
        self,
        x_BTD: Tensor,
        angles: tuple[Tensor, Tensor] | None,
        sight: Sight,
        cache: LayerCache | None = None,
        examples_B: Tensor | None = None,
        near: list[Tensor] | None = None,
    ) -> Tensor:
        h_BTD = self.attention_norm(x_BTD)
        if self.attention_convolution is not None and near is not None:
            h_BTD = self.attention_convolution(h_BTD, near, cache)
        x_BTD = x_BTD + self.attention_dropout(self.attention(h_BTD, angles, sight, cache), examples_B)
        h_BTD = self.mlp_norm(x_BTD)
        if self.mlp_convolution is not None and near is not None:
            h_BTD = self.mlp_convolution(h_BTD, near, cache)
        return x_BTD + self.mlp_dropout(self.mlp(h_BTD), examples_B)
