"""What brings pictures and texts to one space: projections, and SigLIP's head that gathers a picture."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedstock.models.initialise import fill
from seedstock.models.keys import key64
from seedstock.models.linear import Linear, together
from seedstock.models.norms import LayerNorm

SCALES = {"softmax": (math.log(1 / 0.07), 0.0), "sigmoid": (math.log(10.0), -10.0)}
"""Logarithm of the scale of cosines at the start, where its limit is not below it, and the bias."""


class Gather(nn.Module):
    """A learned question that attends to all patches, then an MLP beside it (Zhai et al. 2022, section 3.2)."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        width, self.heads = config.width, config.heads
        self.probe = nn.Parameter(torch.empty(width))
        self.query, self.key, self.value = (Linear(width, width, True) for _ in range(3))
        self.output, self.norm = Linear(width, width, True), LayerNorm(width, config.norm_epsilon)
        self.up, self.down = Linear(width, config.mlp_width, True), Linear(config.mlp_width, width, True)

    def forward(self, hidden_BTD: Tensor) -> Tensor:
        """``[B, T, D]`` → ``[B, D]``."""
        b, t, d = hidden_BTD.shape
        query = self.query(self.probe.to(hidden_BTD.dtype)).view(1, 1, self.heads, -1).expand(b, -1, -1, -1)
        key, value = (one.view(b, t, self.heads, -1) for one in together(hidden_BTD, self.key, self.value).chunk(2, -1))
        query, key, value = (one.transpose(1, 2) for one in (query, key, value))
        found = F.scaled_dot_product_attention(query, key, value)
        x_BD = self.output(found.transpose(1, 2).reshape(b, d))
        return x_BD + self.down(F.gelu(self.up(self.norm(x_BD)), approximate="tanh"))


class Joint(nn.Module):
    """Both towers' last layers, and the scale of the cosines between them, at most ``limit``; ``bias`` for sigmoids."""

    def __init__(self, model: Any, outputs: int, loss: str, seed: int, limit: float = 100.0) -> None:
        super().__init__()
        siglip = model.shape == "siglip"
        self.gather = Gather(model.picture) if siglip else None
        self.picture = None if siglip else Linear(model.picture.width, outputs)
        self.text = Linear(model.text.width, outputs, siglip)
        scale, bias = SCALES[loss]
        self.limit = math.log(limit)
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if name.endswith("norm.weight"):
                    parameter.fill_(1.0)
                else:
                    std = 0.0 if name.endswith("bias") else parameter.shape[-1] ** -0.5
                    fill(parameter, std, key64("joint", seed), name)
        self.scale = nn.Parameter(torch.tensor([min(scale, self.limit)]))
        self.bias = nn.Parameter(torch.tensor([bias])) if loss == "sigmoid" else None

    def pictures(self, network: Any, hidden_BTD: Tensor) -> Tensor:
        """Unit vectors ``[B, outputs]``, fp32, of what the picture tower gave."""
        if self.gather is not None:
            return F.normalize(self.gather(hidden_BTD).float(), dim=-1)
        assert self.picture is not None
        return F.normalize(self.picture(network.picture.pooled(hidden_BTD)).float(), dim=-1)

    def texts(self, hidden_BTD: Tensor, places_B: Tensor) -> Tensor:
        """The same of texts, from the hidden states at these places."""
        rows = torch.arange(len(hidden_BTD), device=hidden_BTD.device)
        return F.normalize(self.text(hidden_BTD[rows, places_B].float()).float(), dim=-1)

    def roles(self) -> dict[str, str]:
        """Small matrices that every layout leaves whole."""
        return {name: "head" if parameter.ndim == 2 else "vector" for name, parameter in self.named_parameters()}
