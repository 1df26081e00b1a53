"""Blocks of a picture, and the predictor of a teacher's features in them (Assran et al. 2023)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from seedstock.models.backbone import Backbone
from seedstock.models.initialise import initialise
from seedstock.models.keys import key64
from seedstock.models.linear import Linear
from seedstock.models.mask import Mask
from seedstock.models.patches import sines
from seedstock.models.roles import ROLES, assign
from seedstock.objectives.base import Spec
from seedstock.objectives.configs.ijepa import IjepaConfig


def block(keys: Any, name: str, side: int, share: float, flat: float, tall: float) -> Tensor:
    """A rectangle of about a share of the patches, its sides ``flat`` to ``tall`` to one: bool ``[B, T]``."""
    draws = torch.from_numpy(keys.uniform(name, 3))
    ratio = torch.exp(math.log(flat) + draws[:, 0] * (math.log(tall) - math.log(flat)))
    area = share * side * side
    high, wide = ((area * one).sqrt().round().clamp(1, side) for one in (ratio, 1 / ratio))
    top, left = ((draws[:, n + 1] * (side - one + 1)).floor() for n, one in enumerate((high, wide)))
    at = torch.arange(side)
    rows, columns = (((at >= low[:, None]) & (at < (low + size)[:, None])) for low, size in ((top, high), (left, wide)))
    return (rows[:, :, None] & columns[:, None]).flatten(1)


class Predictor(nn.Module):
    """A narrow stack over what is seen of the context and, for each place of a target, a learned vector."""

    def __init__(self, config: IjepaConfig, spec: Spec) -> None:
        super().__init__()
        outer, width = spec.model, config.predictor_width
        inner = {"width": width, "layers": config.predictor_layers, "heads": config.predictor_heads}
        open_sizes = {"kv_heads": None, "head_size": None, "mlp_width": 4 * width, "size": None, "dropout": 0.0}
        own = outer.model_copy(update={**inner, **open_sizes}).resolved()
        self.side, self.width = outer.image // outer.patch, width
        self.embed, self.out = Linear(outer.width, width, True), Linear(width, outer.width, True)
        self.asked = nn.Parameter(torch.empty(width))
        self.backbone = Backbone(own, spec.seed)
        initialise(self, self.roles(), own, key64("ijepa", spec.seed))

    def roles(self) -> dict[str, str]:
        """Matrices into and out of the stack, and as in the network."""
        ends = (("embed.weight", "column"), ("out.weight", "row"), ("asked", "vector"))
        return assign((name for name, _ in self.named_parameters()), (*ends, *ROLES))

    def forward(self, seen_BTD: Tensor, shown_BT: Tensor, wanted_BT: Tensor) -> Tensor:
        """Features of all places ``[B, T, D]`` fp32, from hidden states of all of which those ``shown`` count; places
        that are ``wanted`` are asked for."""
        places = torch.arange(shown_BT.shape[1], device=shown_BT.device)
        at_TD = sines(places, self.side, self.width).to(seen_BTD.dtype)
        x_BTD = torch.where(shown_BT[..., None], self.embed(seen_BTD), self.asked.to(seen_BTD.dtype)) + at_TD
        documents = torch.where(shown_BT | wanted_BT, 0, -1)  # the rest is as padding is: seen from nowhere
        found = self.backbone(x_BTD, places[None], Mask.over(documents, "full")).hidden
        return self.out(found).float()
