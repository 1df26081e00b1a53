"""The position-wise network of a block."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from seedstock.models.linear import Linear, together


class MLP(nn.Module):
    """Two matrices around an activation, or three around a gated one: SwiGLU (Shazeer 2020)."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.activation = config.activation
        self.gate = Linear(config.width, config.mlp_width, config.biases) if config.activation == "swiglu" else None
        self.up = Linear(config.width, config.mlp_width, config.biases)
        self.down = Linear(config.mlp_width, config.width, config.biases)

    def forward(self, x_BTD: Tensor) -> Tensor:
        if self.gate is not None:
            gate_BTF, up_BTF = together(x_BTD, self.gate, self.up).chunk(2, -1)
            return self.down(F.silu(gate_BTF) * up_BTF)
        hidden_BTF = self.up(x_BTD)
        if self.activation == "relu2":
            return self.down(F.relu(hidden_BTF).square())
        return self.down(F.gelu(hidden_BTF, approximate="tanh"))
