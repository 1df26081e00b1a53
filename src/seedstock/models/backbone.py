"""The one transformer: a stack of blocks and a last norm."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from seedstock.models import attention as self_attention
from seedstock.models import rope
from seedstock.models.block import Block
from seedstock.models.cache import Cache
from seedstock.models.convolution import reach
from seedstock.models.mask import Mask
from seedstock.models.norms import norm


@dataclass
class Output:
    """What the backbone gives: the last hidden state, every layer's for who asks, and losses of its own.

    ``aux`` holds the sum over sequences of each loss that ``config.auxiliary`` names, its coefficient in it.
    """

    hidden: Tensor
    layers: list[Tensor] = field(default_factory=list)
    aux: dict[str, Tensor] = field(default_factory=dict)


class Backbone(nn.Module):
    """A stack of blocks. Knows nothing of tokens, losses or devices."""

    def __init__(self, config: Any, seed: int) -> None:
        super().__init__()
        self.config = config
        self.blocks = nn.ModuleList(Block(config, layer, seed) for layer in range(config.layers))
        self.norm = norm(config.norm, config.width, config.norm_epsilon)

    def forward(
        self,
        x: Tensor,
        positions: Tensor,
        attention: Mask,
        cross: Tensor | None = None,
        condition: Tensor | None = None,
        cache: Cache | None = None,
        examples: Tensor | None = None,
        keep_layers: bool = False,
    ) -> Output:
        """``x`` ``[B, T, D]``, ``positions`` ``[B or 1, T]``, ``examples`` ``[B]`` (the key of dropout) → Output.

        Raises NotImplementedError for ``cross`` and ``condition``, which no kind of block takes so far.
        """
        if cross is not None or condition is not None:
            raise NotImplementedError("no block attends to another sequence (cross) or takes a condition")
        sight = self_attention.prepare(attention, x, x.shape[1] + (cache.filled if cache else 0))
        angles = None
        if self.config.position == "rope":
            cosines, sines = rope.angles(positions, self.config.head_size, self.config.rope_base)
            angles = cosines.to(x.dtype), sines.to(x.dtype)
        near = reach(positions, self.config.convolution, x.dtype) if self.config.convolution else None
        layers = []
        for number, block in enumerate(self.blocks):
            x = block(x, angles, sight, cache.layer(number) if cache else None, examples, near)
            if keep_layers:
                layers.append(x)
        if cache is not None:
            cache.advance(x.shape[1])
        return Output(self.norm(x), layers)
