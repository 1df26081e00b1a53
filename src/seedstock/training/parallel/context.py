"""Context parallelism: the positions of every sequence are divided among processes, in equal pieces.

Every process is handed whole sequences, embeds them, and keeps the part of the stream that is its own; attention
gathers the keys and values of all, or passes them round (``parallel.ring``). Losses are sums over a process's own
positions.

Where attention looks back, late positions have more to see than early ones. So a sequence is cut into twice as many
runs as there are processes, and each has one from the front and its mirror image from the back: all have as much to do.
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
from seedstock.training.parallel.ring import Ring

Runs = tuple[slice, ...]


def runs(length: int, size: int, *, mirrored: bool) -> list[Runs]:
    """The positions of every process, in runs of equal length: one each, or one and its mirror image."""
    step = length // (size * (1 + mirrored))
    places = [slice(start, start + step) for start in range(0, length, step)]
    return [(one, places[-1 - number]) if mirrored else (one,) for number, one in enumerate(places[:size])]


class Context:
    """This process's piece of the sequences, in a mesh of one dimension. ``ring``: keys are passed round; ``mirror``:
    the work of attention that looks back is levelled, where the positions divide."""

    def __init__(self, mesh: DeviceMesh, *, ring: bool = False, mirror: bool = True) -> None:
        self.mesh, self.size, self.rank = mesh, mesh.size(), mesh.get_local_rank()
        self.ring, self.mirror = ring, mirror
        self._add = partial(exchange.add, mesh=mesh)
        self._runs: list[Runs] = []

    def lay(self, nets: nn.ModuleDict) -> None:
        """Has dropout inside of backbones drop by the place in the whole sequence, in place."""
        for backbone in nets.modules():
            if isinstance(backbone, Backbone):
                config = backbone.config
                if config.window is not None and all(map(config.is_local, range(config.depth))):
                    self.mirror = False  # near by, all see as much, and of runs in order those far away are of no use
                for module in backbone.modules():
                    if isinstance(module, Dropout):
                        self._slice(module)

    def cut(self, part: Batch, one: dict[str, Any]) -> tuple[Batch, dict[str, Any]]:
        """A micro-batch and what its backbone is called with, cut to this piece; of the first every run is a row.
        Raises RecipeError where the positions do not divide."""
        x, positions, attention = one["x"], one["positions"], one["attention"]
        length = x.shape[1]
        if length % self.size:
            raise RecipeError(
                f"sequences of {length} positions cannot be cut into {self.size} equal pieces",
                where="training.parallel.context",
                fix="take a context that it divides, or another degree",
            )
        mirrored = self.mirror and attention.pattern != "full" and length % (2 * self.size) == 0
        self._runs = runs(length, self.size, mirrored=mirrored)
        own = self._runs[self.rank]
        ring = Ring(self.mesh, self._runs).prepare if self.ring else None
        piece = Piece(own, length, partial(_gathered, mesh=self.mesh, mirrored=mirrored), self._add, ring)
        given = {**one, "x": piece.cut(x), "positions": piece.cut(positions), "attention": _of(attention, piece)}
        return _rows(part, own, length), given

    def once(self, output: Output) -> Output:
        """The network's own losses, which every piece works out as a whole: one share each, the gradients whole; and
        every run of the last hidden state as a row."""
        aux = {name: exchange.ScaleGradient.apply(loss / self.size, self.size) for name, loss in output.aux.items()}
        B, _, D = output.hidden.shape
        return replace(output, hidden=output.hidden.reshape(B * len(self._runs[0]), -1, D), aux=aux)

    def _slice(self, dropout: Dropout) -> None:
        whole = dropout.dropped

        def dropped(shape: torch.Size, examples_B: Tensor) -> Tensor:
            full = torch.Size((shape[0], shape[1] * self.size, *shape[2:]))
            found = whole(full, examples_B)
            return torch.cat([found[:, run] for run in self._runs[self.rank]], 1)

        dropout.dropped = dropped  # type: ignore[method-assign]


def _gathered(x: Tensor, mesh: DeviceMesh, *, mirrored: bool) -> Tensor:
    """Keys or values ``[B, G, T, K]`` of a piece → those of the whole, in their order."""
    whole = exchange.gather_keys(x, mesh)
    if not mirrored:
        return whole
    parts = whole.chunk(2 * mesh.size(), 2)
    return torch.cat([*parts[::2], *parts[1::2][::-1]], 2)


def _rows(part: Batch, own: Runs, length: int) -> Batch:
    """A micro-batch whose rows are the runs of each of its own rows, with what stands behind them, as far as targets
    reach."""
    raw = part["tokens"].shape[1]

    def cut(value: Any) -> Any:
        if isinstance(value, Tensor) and value.ndim > 1 and value.shape[1] == raw:
            parts = [value[:, run.start : run.stop + raw - length] for run in own]
            return torch.stack(parts, 1).flatten(0, 1) if len(parts) > 1 else parts[0]
        return value.repeat_interleave(len(own), 0) if isinstance(value, Tensor) and value.ndim else value

    return {name: cut(value) for name, value in part.items()}


def _of(attention: Mask, piece: Piece) -> Mask:
    if attention.pattern == "blocks" or attention.sources is not None:
        raise NotImplementedError("attention over blocks, or to another sequence, cannot be cut")
    return replace(attention, piece=piece)
