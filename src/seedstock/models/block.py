"""One layer of the transformer."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from seedstock.models.attention import Attention, Sight
from seedstock.models.cache import LayerCache
from seedstock.models.convolution import Convolution
from seedstock.models.dropout import Dropout
from seedstock.models.experts import Experts, Routed
from seedstock.models.linear import Linear
from seedstock.models.mlp import MLP
from seedstock.models.norms import norm


class Block(nn.Module):
    """Attention, then the MLP, each on the normalised stream and added to it (pre-norm, Xiong et al. 2020).

    With ``post_norm`` the sum is normalised instead (Vaswani et al. 2017). With ``cross`` there is attention to another
    sequence between the two. With ``conditioned`` a vector shifts, scales and gates both. ``bare_start`` leaves out the
    first layer's first norm, where the embedding has one.
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
        # Shift, scale and gate of attention and MLP by the condition; zero at the start: a block adds nothing then.
        self.modulation = Linear(config.width, 6 * config.width, True) if conditioned(config) else None
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
        condition_BD: Tensor | None = None,
    ) -> Tensor:
        """``routed`` is told what the router did, where the block has one."""
        if self.modulation is not None and condition_BD is not None:
            return self._modulated(x_BTD, angles, sight, examples_B, condition_BD)
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

    def _modulated(
        self,
        x_BTD: Tensor,
        angles: tuple[Tensor, Tensor] | None,
        sight: Sight,
        examples_B: Tensor | None,
        condition_BD: Tensor,
    ) -> Tensor:
        """adaLN-Zero (Peebles and Xie 2023, section 3.2)."""
        assert self.modulation is not None
        parts = self.modulation(F.silu(condition_BD).to(x_BTD.dtype))[:, None].chunk(6, dim=-1)
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = parts
        h_BTD = self.attention_norm(x_BTD) * (1 + scale) + shift
        x_BTD = x_BTD + gate * self.attention_dropout(self.attention(h_BTD, angles, sight, None), examples_B)
        h_BTD = self.mlp_norm(x_BTD) * (1 + mlp_scale) + mlp_shift
        return x_BTD + mlp_gate * self.mlp_dropout(self.mlp(h_BTD), examples_B)

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


def conditioned(config: Any) -> bool:
    """Whether a configuration's blocks are modulated by a condition."""
    return bool(getattr(config, "conditioned", False))
