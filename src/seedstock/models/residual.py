"""Residual convolutions over pictures ``[B, C, H, W]``: blocks, attention over places, halving and doubling."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedstock.models.linear import Linear

EPSILON = 1e-6


class Kernel(nn.Module):
    """A convolution in the dtype of its input: ``side`` taps a side, as large outside as inside unless it strides."""

    def __init__(self, inputs: int, outputs: int, side: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, side, side))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.stride, self.padding = stride, side // 2 if stride == 1 else 0

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight.to(x.dtype), self.bias.to(x.dtype), self.stride, self.padding)


class GroupNorm(nn.Module):
    """Each group of channels of a picture to mean 0 and variance 1 (Wu and He 2018), in fp32."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels))
        self.bias = nn.Parameter(torch.empty(channels))
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        return F.group_norm(x.float(), self.groups, self.weight, self.bias, EPSILON).to(x.dtype)


class ResidualBlock(nn.Module):
    """Norm, SiLU, convolution, twice; a convolution of one tap brings what goes around it to another width."""

    def __init__(self, inputs: int, outputs: int, groups: int) -> None:
        super().__init__()
        self.first_norm = GroupNorm(inputs, groups)
        self.first = Kernel(inputs, outputs)
        self.second_norm = GroupNorm(outputs, groups)
        self.second = Kernel(outputs, outputs)
        self.around = Kernel(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        inner = self.first(F.silu(self.first_norm(x)))
        inner = self.second(F.silu(self.second_norm(inner)))
        return inner + (x if self.around is None else self.around(x))


class PlaceAttention(nn.Module):
    """Every place of a picture attends to every other one, with one head."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = GroupNorm(channels, groups)
        self.query, self.key, self.value, self.output = (Linear(channels, channels, True) for _ in range(4))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BTC = self.norm(x_BCHW).flatten(2).transpose(1, 2)
        heads = [one(x_BTC)[:, None] for one in (self.query, self.key, self.value)]
        found = self.output(F.scaled_dot_product_attention(*heads)[:, 0])
        return x_BCHW + found.transpose(1, 2).reshape(x_BCHW.shape)


class Middle(nn.Module):
    """Two blocks with attention between them."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        width, groups = config.widths[-1], config.groups
        self.first = ResidualBlock(width, width, groups)
        self.attention = PlaceAttention(width, groups) if config.attention else None
        self.second = ResidualBlock(width, width, groups)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.second(x if self.attention is None else self.attention(x))


class Halving(nn.Module):
    """Two pixels a side become one."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.kernel = Kernel(channels, channels, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.kernel(F.pad(x, (0, 1, 0, 1)))


class Doubling(nn.Module):
    """One pixel a side becomes two."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.kernel = Kernel(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.kernel(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Stage(nn.Module):
    """Blocks of one size, attention after each where it is ``attended``, then the way to the next."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        blocks: int,
        groups: int,
        resize: type[nn.Module] | None,
        attended: bool = False,
    ) -> None:
        super().__init__()
        sizes = [inputs, *[outputs] * blocks]
        self.blocks = nn.ModuleList(ResidualBlock(a, b, groups) for a, b in pairwise(sizes))
        self.attentions = nn.ModuleList(PlaceAttention(outputs, groups) for _ in range(blocks if attended else 0))
        self.resize = resize(outputs) if resize is not None else None

    def forward(self, x: Tensor) -> Tensor:
        for number, block in enumerate(self.blocks):
            x = block(x)
            x = self.attentions[number](x) if self.attentions else x
        return x if self.resize is None else self.resize(x)


class Half(nn.Module):
    """One half of an autoencoder: ``encoder`` from pixels to places, or from places to pixels."""

    def __init__(self, config: Any, inputs: int, outputs: int, *, encoder: bool) -> None:
        super().__init__()
        widths = [*config.widths] if encoder else [*reversed(config.widths)]
        count, blocks = len(widths), config.blocks + (0 if encoder else 1)
        self.encoder, resize = encoder, Halving if encoder else Doubling
        self.first = Kernel(inputs, widths[0])
        self.middle = Middle(config)
        pairs = zip([widths[0], *widths], widths, strict=False)
        self.stages = nn.ModuleList(
            Stage(a, b, blocks, config.groups, resize if number < count - 1 else None, config.attends(number, encoder))
            for number, (a, b) in enumerate(pairs)
        )
        self.norm = GroupNorm(widths[-1], config.groups)
        self.last = Kernel(widths[-1], outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        parts = [*self.stages, self.middle] if self.encoder else [self.middle, *self.stages]
        for part in parts:
            x = part(x)
        return self.last(F.silu(self.norm(x)))
