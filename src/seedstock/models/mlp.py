"""The position-wise network of a block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedstock.models.linear import Linear, together

GATED = ("swiglu", "geglu", "geglu_exact")
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "swiglu": F.silu,
    "geglu": lambda x: F.gelu(x, approximate="tanh"),
    "geglu_exact": F.gelu,
    "gelu": lambda x: F.gelu(x, approximate="tanh"),
    "gelu_exact": F.gelu,
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "relu": F.relu,
    "relu2": lambda x: F.relu(x).square(),
    "silu": F.silu,
}


class MLP(nn.Module):
    """Two matrices around an activation, or three around a gated one: SwiGLU, GEGLU (Shazeer 2020).

    ``gelu`` and ``geglu`` are the tanh form (GPT-2, T5 1.1), ``…_exact`` the error function's (BERT, ModernBERT),
    ``quick_gelu`` a sigmoid's (Hendrycks and Gimpel 2016, section 2; CLIP).
    """

    def __init__(self, config: Any, inner: int | None = None) -> None:
        super().__init__()
        self.activation, inner = config.activation, inner or config.mlp_width
        gated = config.activation in GATED
        self.gate = Linear(config.width, inner, config.biases) if gated else None
        self.up = Linear(config.width, inner, config.biases)
        self.down = Linear(inner, config.width, config.biases)

    def forward(self, x_BTD: Tensor) -> Tensor:
        if self.gate is not None:
            gate_BTF, up_BTF = together(x_BTD, self.gate, self.up).chunk(2, -1)
            return self.down(ACTIVATIONS[self.activation](gate_BTF) * up_BTF)
        return self.down(ACTIVATIONS[self.activation](self.up(x_BTD)))
