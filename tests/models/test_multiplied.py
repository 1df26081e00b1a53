"""What is made of weights for a product can be made again for its gradients: the same bits, and nothing kept."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

sys.path.append(str(Path(__file__).parents[1] / "training"))

from alive import Alive

from seedstock.models.linear import Linear, together


def layers(bias: bool) -> list[Linear]:
    found = [Linear(24, rows, bias) for rows in (16, 8)]
    for number, parameter in enumerate(parameter for layer in found for parameter in layer.parameters()):
        nn.init.normal_(parameter, generator=torch.Generator().manual_seed(number))
    return found


def kept(layers: list[Linear], x: Tensor) -> tuple[int, list[Tensor]]:
    """Bytes that are held between a pass and its gradients; and the gradients."""
    with Alive() as alive:
        out = (together(x, *layers) + layers[0](x).sum()).float().square().sum()
        between = alive.now
        out.backward()
    return between, [parameter.grad for layer in layers for parameter in layer.parameters()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bias", [False, True])
def test_the_same_bits_and_no_copy_of_weights(dtype: torch.dtype, bias: bool) -> None:
    x = torch.randn(3, 5, 24, generator=torch.Generator().manual_seed(9)).to(dtype).requires_grad_()
    (between, plain), frugal = kept(layers(bias), x), layers(bias)
    for layer in frugal:
        layer.again = True
    least, ours = kept(frugal, x)
    copies = 2 * (24 * 24 + 16 * 24) if dtype == torch.bfloat16 else 4 * 24 * 24
    assert between - least == copies and all(torch.equal(a, b) for a, b in zip(ours, plain, strict=True))
