"""Small heads that objectives put on a network."""

from __future__ import annotations

from torch import Tensor, nn

from seedstock.models.keys import generator
from seedstock.models.linear import Linear


class Prediction(nn.Module):
    """A linear layer from hidden states to ``outputs`` numbers, in fp32; its weights are keyed by its name."""

    def __init__(self, width: int, outputs: int, seed: int, name: str, std: float = 0.02) -> None:
        super().__init__()
        self.linear = Linear(width, outputs, True)
        nn.init.normal_(self.linear.weight, 0.0, std, generator=generator("initial weights", seed, name))
        assert self.linear.bias is not None
        nn.init.zeros_(self.linear.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.linear(hidden).float()

    def roles(self) -> dict[str, str]:
        """Small: no hidden matrix that a layout would cut."""
        return {"linear.weight": "head", "linear.bias": "vector"}
