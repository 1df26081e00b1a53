"""Matrix products in the activations' precision; the weights stay fp32."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Linear(nn.Module):
    """``x @ weight.T + bias``, computed in the dtype of ``x``: explicit where autocast would guess."""

    def __init__(self, inputs: int, outputs: int, bias: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype), None if self.bias is None else self.bias.to(x.dtype))


def together(x: Tensor, *layers: Linear) -> Tensor:
    """The outputs of several layers on one input, side by side: one product instead of several small ones."""
    weight = torch.cat([layer.weight for layer in layers]).to(x.dtype)
    if all(layer.bias is None for layer in layers):
        return F.linear(x, weight)
    biases = [layer.weight.new_zeros(len(layer.weight)) if layer.bias is None else layer.bias for layer in layers]
    return F.linear(x, weight, torch.cat(biases).to(x.dtype))
