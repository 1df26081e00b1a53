"""Matrix products in the activations' precision; the weights stay fp32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Linear(nn.Module):
    """``x @ weight.T + bias``, computed in the dtype of ``x``: explicit where autocast would guess."""

    product: Callable[[Tensor, Tensor], Tensor] | None = None
    """What takes the place of ``x @ weight.T`` in training (``training.float8``)."""
    again: bool = False
    """Whether what products take of the weights is made again for the gradients (``multiplied``)."""

    def __init__(self, inputs: int, outputs: int, bias: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.weight, None if self.bias is None else self.bias.to(x.dtype)
        product = self.product if self.training else None
        again = self.again and weight.dtype != x.dtype
        return multiplied(lambda: weight.to(x.dtype), lambda factor: _times(x, factor, bias, product), again=again)


def together(x: Tensor, *layers: Linear) -> Tensor:
    """The outputs of several layers on one input, side by side: one product instead of several small ones."""
    weights: list[Tensor] = [layer.weight for layer in layers]
    bias = None
    product = layers[0].product if layers[0].training else None
    if any(layer.product is not product for layer in layers):
        product = None
    if any(layer.bias is not None for layer in layers):
        biases = [layer.weight.new_zeros(len(layer.weight)) if layer.bias is None else layer.bias for layer in layers]
        bias = torch.cat(biases).to(x.dtype)
    return multiplied(
        lambda: torch.cat(weights).to(x.dtype),
        lambda factor: _times(x, factor, bias, product),
        again=layers[0].again,
    )


def multiplied(make: Callable[[], Tensor], multiply: Callable[[Tensor], Tensor], *, again: bool) -> Tensor:
    """The product of something and what it takes of weights, which ``make`` casts and joins. With ``again`` gradients
    find none of that kept, and make it again from the weights: where these are gathered block by block and dropped in
    between, there is never more than one block's."""
    factor = make()
    if not again or not torch.is_grad_enabled() or torch.compiler.is_compiling():
        return multiply(factor)
    place = factor.untyped_storage().data_ptr()

    def pack(kept: Tensor) -> Any:
        own = kept.untyped_storage().data_ptr() == place
        return (kept.shape, kept.stride(), kept.storage_offset()) if own else kept

    def unpack(packed: Any) -> Tensor:
        return packed if isinstance(packed, Tensor) else make().as_strided(*packed)

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        return multiply(factor)


def _times(
    x: Tensor, weight: Tensor, bias: Tensor | None, product: Callable[[Tensor, Tensor], Tensor] | None
) -> Tensor:
    if product is None:
        return F.linear(x, weight, bias)
    found = product(x, weight)
    return found if bias is None else found + bias
