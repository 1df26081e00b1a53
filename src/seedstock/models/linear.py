"""Matrix products in the activations' precision; the weights stay fp32."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Linear(nn.Module):
    """``x @ weight.T + bias``, computed in the dtype of ``x``: explicit where autocast would guess."""

    product: Callable[[Tensor, Tensor], Tensor] | None = None
    """What takes the place of ``x @ weight.T`` in training (``training.float8``)."""

    def __init__(self, inputs: int, outputs: int, bias: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return _times(x, self.weight.to(x.dtype), bias, self.product if self.training else None)


def together(x: Tensor, *layers: Linear) -> Tensor:
    """The outputs of several layers on one input, side by side: one product instead of several small ones."""
    weight = torch.cat([layer.weight for layer in layers]).to(x.dtype)
    product = layers[0].product if layers[0].training else None
    if any(layer.product is not product for layer in layers):
        product = None
    if all(layer.bias is None for layer in layers):
        return _times(x, weight, None, product)
    biases = [layer.weight.new_zeros(len(layer.weight)) if layer.bias is None else layer.bias for layer in layers]
    return _times(x, weight, torch.cat(biases).to(x.dtype), product)


def _times(
    x: Tensor, weight: Tensor, bias: Tensor | None, product: Callable[[Tensor, Tensor], Tensor] | None
) -> Tensor:
    if product is None:
        return F.linear(x, weight, bias)
    found = product(x, weight)
    return found if bias is None else found + bias
