"""Keys and values of positions already seen, kept for generation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


class Cache:
    """Room for ``length`` positions in each layer, filled from the left."""

    def __init__(self, layers: int, batch: int, groups: int, length: int, head_size: int, like: Tensor) -> None:
        shape = (layers, 2, batch, groups, length, head_size)
        self.held = torch.empty(shape, dtype=like.dtype, device=like.device)
        self.tails: list[dict[str, Tensor]] = [{} for _ in range(layers)]
        self.filled = 0
        self.crossed: list[dict[str, Tensor]] = [{} for _ in range(layers)]
        self.source: Tensor | None = None
        """The encoded source, where the target attends to one."""
        self.source_documents: Tensor | None = None

    @property
    def room(self) -> int:
        """Positions that can still be added."""
        return self.held.shape[-2] - self.filled

    def layer(self, number: int) -> LayerCache:
        """One layer's part."""
        keys, values = self.held[number]
        return LayerCache(keys, values, self.filled, self.tails[number], self.crossed[number])

    def advance(self, positions: int) -> None:
        """Counts positions that every layer has added."""
        self.filled += positions


@dataclass(frozen=True)
class LayerCache:
    """Keys and values ``[B, G, length, K]`` of one layer, of which ``filled`` positions are known.

    ``tails`` are the last inputs of its convolutions, by place; ``crossed`` holds the source's keys and values.
    """

    keys: Tensor
    values: Tensor
    filled: int
    tails: dict[str, Tensor]
    crossed: dict[str, Tensor]

    def append(self, k_BGTK: Tensor, v_BGTK: Tensor) -> tuple[Tensor, Tensor]:
        """Adds new keys and values; returns all of them. Raises ValueError where there is no room."""
        end = self.filled + k_BGTK.shape[2]
        if end > self.keys.shape[2]:
            raise ValueError(f"the cache has room for {self.keys.shape[2]} positions, not {end}")
        self.keys[:, :, self.filled : end] = k_BGTK
        self.values[:, :, self.filled : end] = v_BGTK
        return self.keys[:, :, :end], self.values[:, :, :end]

    def after(self, place: str, x_BTD: Tensor, before: int) -> Tensor:
        """``x`` with the ``before`` inputs that came before it, zeros where there were none; keeps the last ones."""
        B, _, D = x_BTD.shape
        held = torch.cat([self.tails.get(place, x_BTD.new_zeros(B, before, D)), x_BTD], 1)
        self.tails[place] = held[:, held.shape[1] - before :]
        return held
