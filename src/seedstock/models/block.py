"""One layer of the transformer."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from seedstock.models.attention import Attention, Sight
from seedstock.models.cache import LayerCache
from seedstock.models.convolution import Convolution
from seedstock.models.dropout import Dropout
from seedstock.models.experts import Experts, Routed
from seedstock.models.mlp import MLP
from seedstock.models.norms import norm


class Block(nn.Module):
    """Attention, then the MLP, each on the normalised stream and added to it (pre-norm, Xiong et al. 2020).

    With ``post_norm`` the sum is normalised instead (Vaswani et al. 2017). With ``cross`` there is attention to another
    sequence between the two. ``bare_start`` leaves out the first layer's first norm, where the embedding has one.
    """

    def __init__(self, config: Any, layer: int, seed: int) -> None:
        super().__init__()
        self.post_norm = config.post_norm
        bare = config.bare_start and layer == 0
        self.attention_norm = nn.Identity() if bare else norm(config.norm, config.width, config.norm_epsilon)
        self.attention = Attention(config)
        self.attention_dropout = Dropout(config.dropout, seed, layer, "attention")
        if config.cross:
            self.cross_norm = norm(config.norm, config.width, config.norm_epsilon)
            self.cross_attention = Attention(config)
            self.cross_dropout = Dropout(config.dropout, seed, layer, "cross")
        self.mlp_norm = norm(config.norm, config.width, config.norm_epsilon)
        self.mlp = Experts(config) if config.experts else MLP(config)
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
        source: tuple[Tensor, Sight] | None = None,
        routed: Routed | None = None,
    ) -> Tensor:
        """``routed`` is told what the router did, where the block has one."""
        if self.post_norm:
            return self._post(x_BTD, angles, sight, cache, examples_B, source)
        h_BTD = self.attention_norm(x_BTD)
        if self.attention_convolution is not None and near is not None:
            h_BTD = self.attention_convolution(h_BTD, near, cache)
        x_BTD = x_BTD + self.attention_dropout(self.attention(h_BTD, angles, sight, cache), examples_B)
        if source is not None:
            found_BTD = self.cross_attention(self.cross_norm(x_BTD), None, source[1], cache, source[0])
            x_BTD = x_BTD + self.cross_dropout(found_BTD, examples_B)
        h_BTD = self.mlp_norm(x_BTD)
        if self.mlp_convolution is not None and near is not None:
            h_BTD = self.mlp_convolution(h_BTD, near, cache)
        h_BTD = self.mlp(h_BTD, routed) if isinstance(self.mlp, Experts) else self.mlp(h_BTD)
        return x_BTD + self.mlp_dropout(h_BTD, examples_B)

    def _post(
        self,
        x_BTD: Tensor,
        angles: tuple[Tensor, Tensor] | None,
        sight: Sight,
        cache: LayerCache | None,
        examples_B: Tensor | None,
        source: tuple[Tensor, Sight] | None,
    ) -> Tensor:
        found_BTD = self.attention(x_BTD, angles, sight, cache)
        x_BTD = self.attention_norm(x_BTD + self.attention_dropout(found_BTD, examples_B))
        if source is not None:
            found_BTD = self.cross_attention(x_BTD, None, source[1], cache, source[0])
            x_BTD = self.cross_norm(x_BTD + self.cross_dropout(found_BTD, examples_B))
        return self.mlp_norm(x_BTD + self.mlp_dropout(self.mlp(x_BTD), examples_B))
