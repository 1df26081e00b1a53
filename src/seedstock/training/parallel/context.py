"""Context parallelism: the positions of every sequence are divided among processes, contiguous pieces of equal length.

Every process is handed whole sequences, embeds them, and keeps the part of the stream that is its own; attention
gathers the keys and values of all (``models.attention``). Losses are sums over a process's own positions.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh

from seedstock.errors import RecipeError
from seedstock.models.backbone import Backbone, Output
from seedstock.models.dropout import Dropout
from seedstock.models.mask import Mask, Piece
from seedstock.training.batches import Batch
from seedstock.training.parallel import exchange


class Context:
    """This process's piece of the sequences, in a mesh of one dimension."""

    def __init__(self, mesh: DeviceMesh) -> None:
        self.mesh, self.size, self.rank = mesh, mesh.size(), mesh.get_local_rank()
        self._gather, self._add = partial(exchange.gather_keys, mesh=mesh), partial(exchange.add, mesh=mesh)

    def lay(self, nets: nn.ModuleDict) -> None:
        """Has dropout inside of backbones drop by the place in the whole sequence, in place."""
        for backbone in nets.modules():
            if isinstance(backbone, Backbone):
                for module in backbone.modules():
                    if isinstance(module, Dropout):
                        self._slice(module)

    def cut(self, part: Batch, one: dict[str, Any]) -> tuple[Batch, dict[str, Any]]:
        """A micro-batch and what its backbone is called with, cut to this piece. Raises RecipeError where the positions
        do not divide."""
        x, positions, attention = one["x"], one["positions"], one["attention"]
        length = x.shape[1]
        if length % self.size:
            raise RecipeError(
                f"sequences of {length} positions cannot be cut into {self.size} equal pieces",
                where="training.parallel.context",
                fix="take a context that it divides, or another degree",
            )
        step = length // self.size
        rows = slice(self.rank * step, (self.rank + 1) * step)
        piece = Piece(rows.start, length, self._gather, self._add)
        # A copy: a view would keep the whole stream for the gradients.
        x = x[:, rows].contiguous()
        given = {**one, "x": x, "positions": positions[:, rows], "attention": _of(attention, piece)}
        raw = part["tokens"].shape[1]
        read = slice(rows.start, rows.stop + raw - length)  # with what stands behind it, as far as targets reach
        return {name: value[:, read] if _long(value, raw) else value for name, value in part.items()}, given

    def once(self, output: Output) -> Output:
        """The network's own losses, which every piece works out as a whole: one share each, the gradients whole."""
        aux = {name: exchange.ScaleGradient.apply(loss / self.size, self.size) for name, loss in output.aux.items()}
        return replace(output, aux=aux)

    def _slice(self, dropout: Dropout) -> None:
        whole = dropout.dropped

        def dropped(shape: torch.Size, examples_B: Tensor) -> Tensor:
            full = torch.Size((shape[0], shape[1] * self.size, *shape[2:]))
            return whole(full, examples_B).chunk(self.size, 1)[self.rank]

        dropout.dropped = dropped  # type: ignore[method-assign]


def _of(attention: Mask, piece: Piece) -> Mask:
    if attention.pattern == "blocks" or attention.sources is not None:
        raise NotImplementedError("attention over blocks, or to another sequence, cannot be cut")
    return replace(attention, piece=piece)


def _long(value: Any, raw: int) -> bool:
    return isinstance(value, Tensor) and value.ndim > 1 and value.shape[1] == raw
