"""An exponential moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from seedstock.training.norm import local
from seedstock.training.optimizers.groups import Parameters


class Average:
    """Keeps fp32 copies of the parameters: after each step ``average += (1 - decay) (weights - average)``.

    The decay warms up as ``min(decay, (1 + steps) / (10 + steps))``, so that early weights do not linger.
    """

    def __init__(self, parameters: Parameters, decay: float) -> None:
        self.decay = decay
        self.parameters = parameters
        self.tensors: dict[str, Tensor] = {name: p.detach().clone() for name, p in parameters.items()}

    @torch.no_grad()
    def update(self, steps: int, held: bool | Tensor = False) -> None:
        """Takes in the weights after ``steps`` steps; nothing where the last one was withheld (0-d bool)."""
        if held is True:
            return
        decay = min(self.decay, (1 + steps) / (10 + steps))
        kept, new = ([local(one) for one in some.values()] for some in (self.tensors, self.parameters))
        if held is not False:  # what is averaged with itself stays
            new = [torch.where(held, old, one) for old, one in zip(kept, new, strict=True)]
        torch._foreach_lerp_(kept, new, 1 - decay)

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """The network with the averaged weights, inside the block."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, parameter in self.parameters.items():
            held = parameter.detach().clone()
            parameter.copy_(self.tensors[name])
            self.tensors[name].copy_(held)
