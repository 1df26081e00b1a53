"""Lion (Chen et al. 2023, arXiv 2302.06675, algorithm 2): the sign of an average of gradients.

Everything is done number by number, on each process's part of a parameter.
"""

from __future__ import annotations

from typing import Any

import torch

from seedstock.training.configs.optimizers import LionConfig
from seedstock.training.norm import local
from seedstock.training.optimizers.groups import Parameters, grouped
from seedstock.training.optimizers.stepped import Stepped

LEARNING_RATE = 3e-4


def build(config: LionConfig, parameters: Parameters) -> Lion:
    """Lion over all parameters."""
    rate = LEARNING_RATE if config.learning_rate is None else config.learning_rate
    return Lion(grouped(parameters, config, rate), lr=rate, betas=config.betas)


class Lion(Stepped):
    """The optimizer: the state is one momentum of each parameter's shape."""

    def __init__(
        self, parameters: Any, *, lr: float, betas: tuple[float, float] = (0.9, 0.99), weight_decay: float = 0.0
    ) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas, "weight_decay": weight_decay})
        # As torch's own optimizers say it: where ``found_inf`` (0-d) is 1, a step leaves everything as it was.
        self._step_supports_amp_scaling = True

    def _step(self, group: dict[str, Any], parameters: list[Any]) -> None:
        for p in parameters:
            if "exp_avg" not in self.state[p]:
                self.state[p]["exp_avg"] = torch.zeros_like(p)
        weights, gradients = [local(p) for p in parameters], [local(p.grad) for p in parameters]
        averages = [local(self.state[p]["exp_avg"]) for p in parameters]
        found = getattr(self, "found_inf", None)
        if found is not None:  # the average in the gradient's place moves nothing, and is finite
            gradients = [torch.where(found > 0, m, g) for m, g in zip(averages, gradients, strict=True)]
        first, second = group["betas"]
        updates = list(torch._foreach_lerp(averages, gradients, 1 - first))
        torch._foreach_sign_(updates)
        kept = 1 - group["lr"] * group["weight_decay"]
        if found is None:
            torch._foreach_mul_(weights, kept)
        else:
            torch._foreach_mul_(updates, 1 - found)
            torch._foreach_mul_(weights, torch.where(found > 0, 1.0, torch.full_like(found, kept)))
        torch._foreach_add_(weights, updates, alpha=-group["lr"])
        torch._foreach_lerp_(averages, gradients, 1 - second)
