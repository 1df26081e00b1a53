"""Dropout whose mask is a function of (seed, example number, layer, purpose): the same under any split of a batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seedstock.models.keys import key64


class Dropout(nn.Module):
    """Drops elements with probability ``p`` while training, and scales the others by ``1 / (1 - p)``.

    Each element's place has a 32-bit word (lowbias32, Wellons 2018), each example two of its own (SplitMix64, Steele et
    al. 2014), mixed by multiplication and shift. Integers wrap alike on every device, so masks are equal on all.
    """

    def __init__(self, p: float, *purpose: object) -> None:
        super().__init__()
        self.p = p
        # A tensor, since a number would be a constant to the compiler, and every layer another program.
        self.key = torch.tensor(key64("dropout", *purpose), device="cpu")

    def forward(self, x: Tensor, examples_B: Tensor | None) -> Tensor:
        """``x`` is ``[B, …]``; ``examples_B`` its example numbers, which training needs."""
        if not (self.training and self.p):
            return x
        if examples_B is None:
            raise ValueError("dropout is keyed by example number: pass `examples`, or call eval()")
        return x.masked_fill(self.dropped(x.shape, examples_B), 0.0) * (1 / (1 - self.p))

    def dropped(self, shape: torch.Size, examples_B: Tensor) -> Tensor:
        """Boolean ``shape``: which elements fall away."""
        words = _places(shape[1:].numel(), examples_B.device).view(1, *shape[1:])
        of_example = [_words(examples_B, self.key, n).view(-1, *[1] * (len(shape) - 1)) for n in (1, 2)]
        mixed = (words ^ of_example[0]) * (of_example[1] | 1)
        mixed = (mixed ^ (mixed >> 15)) * 0x2C1B3C6D
        return mixed < round(self.p * 2**32) - 2**31


def _places(count: int, device: torch.device) -> Tensor:
    """A well-mixed 32-bit word for each of ``count`` places."""
    x = torch.arange(1, count + 1, dtype=torch.int32, device=device) * -0x61C88647
    x = (x ^ ((x >> 16) & 0xFFFF)) * 0x21F0AAAD
    x = (x ^ ((x >> 15) & 0x1FFFF)) * 0x735A2D97
    return x ^ ((x >> 15) & 0x1FFFF)


def _words(examples_B: Tensor, key: Tensor, number: int) -> Tensor:
    """A 32-bit word for each example under a key."""
    z = (examples_B * 2 + number) * -0x61C8864680B583EB + key
    z = (z ^ ((z >> 30) & (2**34 - 1))) * -0x40A7B892E31B1A47
    z = (z ^ ((z >> 27) & (2**37 - 1))) * -0x6B2FB644ECCEEE15
    return (z >> 32).to(torch.int32)
