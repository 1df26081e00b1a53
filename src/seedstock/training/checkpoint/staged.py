"""What is to be saved, planned over all processes and copied, so that it can be written while training goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint.default_planner import DefaultSavePlanner
from torch.distributed.checkpoint.metadata import Metadata, MetadataIndex
from torch.distributed.checkpoint.planner import SavePlan
from torch.distributed.checkpoint.storage import WriteResult

from seedstock.training.checkpoint.writer import Writer
from seedstock.training.parallel.world import World


@dataclass
class Plan:
    """Who writes which piece of which tensor: the planner's answer, which holds as long as the tensors lie alike."""

    tensors: dict[str, tuple[Any, ...]]
    own: SavePlan
    metadata: Metadata | None


@dataclass
class Staged:
    """Copies of this process's pieces."""

    plan: Plan
    pieces: dict[MetadataIndex, Tensor] = field(default_factory=dict)

    def resolve_data(self, item: Any) -> Tensor:
        """The piece that the writer asks for."""
        return self.pieces[item.index]

    def write(self, writer: Writer) -> list[WriteResult]:
        """Writes this process's files."""
        return list(writer.write_data(self.plan.own, self).wait())  # type: ignore[arg-type]

    def finish(self, writer: Writer, results: list[list[WriteResult]]) -> None:
        """Writes the index, on the main process."""
        assert self.plan.metadata is not None
        writer.finish(self.plan.metadata, results)


def stage(tensors: dict[str, Tensor], world: World, known: Plan | None = None, *, copied: bool = True) -> Staged:
    """Plans and copies; all processes call it together. ``known`` is an earlier plan, used again where it still fits.

    Without copies the tensors must not change until they are written. Raises TypeError for what is no tensor.
    """
    planner = DefaultSavePlanner(flatten_state_dict=False, flatten_sharded_tensors=False)
    planner.set_up_planner(dict(tensors), None, world.main)
    shapes = {name: _lies(tensor) for name, tensor in tensors.items()}
    if known is None or known.tensors != shapes:
        known = _plan(planner, shapes, world)
    found = Staged(known)
    for item in known.own.items:
        piece = planner.resolve_data(item)
        assert isinstance(piece, Tensor)
        found.pieces[item.index] = piece.detach().to("cpu", copy=copied, memory_format=torch.contiguous_format)
    return found


def _plan(planner: DefaultSavePlanner, shapes: dict[str, tuple[Any, ...]], world: World) -> Plan:
    writer = Writer(Path())
    local = world.together(lambda: writer.prepare_local_plan(planner.create_local_plan()))
    locals_, metadata = world.gather(local), None
    if world.main:
        plans, metadata = planner.create_global_plan(locals_)
        locals_ = writer.prepare_global_plan(plans)
    plans = world.first(lambda: locals_)
    return Plan(shapes, planner.finish_plan(plans[world.rank]), metadata)


def _lies(tensor: Tensor) -> tuple[Any, ...]:
    return tuple(getattr(tensor, name, None) for name in ("shape", "dtype", "placements", "device_mesh"))
