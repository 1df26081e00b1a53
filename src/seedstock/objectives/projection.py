"""What self-supervised objectives put on pooled features: a projector without batch norm; and teachers that follow."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedstock.models.initialise import fill
from seedstock.models.keys import key64
from seedstock.models.linear import Linear
from seedstock.models.norms import LayerNorm


class Projector(nn.Module):
    """Linear, layer norm, GELU, linear; layer norm stands where papers have batch norm, which would couple examples."""

    def __init__(self, width: int, hidden: int, outputs: int, seed: int, name: str) -> None:
        super().__init__()
        self.up, self.norm, self.down = Linear(width, hidden, True), LayerNorm(hidden, 1e-6), Linear(hidden, outputs)
        with torch.no_grad():
            for key, parameter in self.named_parameters():
                if parameter.ndim == 2:
                    fill(parameter, parameter.shape[1] ** -0.5, key64(name, seed), key)
                else:
                    parameter.fill_(1.0 if key == "norm.weight" else 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """``[…, width]`` → fp32 ``[…, outputs]``."""
        return self.down(F.gelu(self.norm(self.up(x)))).float()

    def roles(self) -> dict[str, str]:
        """Hidden matrices and vectors."""
        table = {"up.weight": "column", "down.weight": "row"}
        return {name: table.get(name, "vector") for name, _ in self.named_parameters()}


def teacher_of(network: nn.Module) -> nn.Module:
    """For ``nets()``: a network that no gradient reaches."""
    return network.requires_grad_(False)


def momentum_at(config: Any, spec: Any, example: int) -> float:
    """How much of a teacher stays at the step that ends before ``example``: ``config.momentum``, which goes to
    ``momentum_end`` along half a cosine where that and the run's length are known (Grill et al. 2020, section 3.2)."""
    if config.momentum_end is None or not spec.examples:
        return float(config.momentum)
    left = (1 + math.cos(math.pi * min(1.0, example / spec.examples))) / 2
    return float(config.momentum_end - (config.momentum_end - config.momentum) * left)


@torch.no_grad()
def follow(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """Moves a teacher's weights towards the student's: momentum · teacher + (1 - momentum) · student."""
    for own, other in zip(teacher.parameters(), student.parameters(), strict=True):
        own.lerp_(other.detach(), 1 - momentum)


def spread(features: Tensor) -> Tensor:
    """How far normalised features ``[B, D]`` scatter, from 0 (all alike) to about 1: the deviation of a dimension, in
    units of that of directions drawn at random (Chen and He 2021, section 4.1)."""
    return F.normalize(features.float(), dim=-1).std(dim=0).mean() * features.shape[-1] ** 0.5


def copy_of(nets: Any, teacher: str, student: str) -> None:
    """Gives a teacher the student's weights."""
    nets[teacher].load_state_dict(nets[student].state_dict())
