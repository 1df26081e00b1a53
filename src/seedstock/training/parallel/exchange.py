"""What passes between the processes of tensor parallelism, with its gradient: DTensor's own redistributions.

``x`` is ``[B, T, …]``. *Whole* is the same on every process, *cut* has a part of the positions on each, *a term* is
what is yet to be added up over processes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Partial, Placement, Replicate, Shard

CUT = Shard(1)


def gather(x: Tensor, mesh: DeviceMesh, *, terms: bool) -> Tensor:
    """Cut → whole. ``terms``: each process's gradient of the whole is a term; else they are all the same."""
    return _turn(x, mesh, CUT, Replicate(), Partial() if terms else Replicate())


def copy(x: Tensor, mesh: DeviceMesh) -> Tensor:
    """Whole → whole, whose gradients are terms."""
    return _turn(x, mesh, Replicate(), Replicate(), Partial())


def cut(x: Tensor, mesh: DeviceMesh) -> Tensor:
    """Whole → cut."""
    return _turn(x, mesh, Replicate(), CUT)


def add_cut(x: Tensor, mesh: DeviceMesh) -> Tensor:
    """Terms → cut."""
    return _turn(x, mesh, Partial(), CUT)


def add(x: Tensor, mesh: DeviceMesh) -> Tensor:
    """Terms → whole."""
    return _turn(x, mesh, Partial(), Replicate())


def gather_keys(x: Tensor, mesh: DeviceMesh) -> Tensor:
    """Keys or values ``[B, G, T, K]`` of a piece of the positions → those of all; gradients are terms."""
    return _turn(x, mesh, Shard(2), Replicate(), Partial())


def _turn(x: Tensor, mesh: DeviceMesh, before: Placement, after: Placement, up: Placement | None = None) -> Tensor:
    laid = DTensor.from_local(x.contiguous(), mesh, [before], run_check=False).redistribute(placements=[after])
    return laid.to_local(grad_placements=None if up is None else [up])


class ScaleGradient(torch.autograd.Function):
    """The same number; its gradient is multiplied."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *ups: Tensor) -> Any:
        return ups[0] * ctx.factor, None
