"""The gradient's norm over everything that is trained, however it lies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from seedstock.training.parallel.world import World


def total_norm(gradients: Iterable[Tensor], world: World) -> Tensor:
    """The Euclidean norm of all gradients together, the same on every process. Waits for no device."""
    if world.alone:
        return torch.nn.utils.get_total_norm(gradients)
    size = world.size // world.degrees.pipeline  # stages have parameters of their own
    squares = [local(g).float().square().sum() * (_parts(g) / size) for g in gradients]
    return world.everywhere(torch.stack(squares).double().sum()).sqrt().float()


def clip(gradients: Iterable[Tensor], most: float, norm: Tensor) -> None:
    """Scales gradients down where their norm is above ``most``."""
    torch._foreach_mul_([local(g) for g in gradients], (most / (norm + 1e-6)).clamp(max=1.0))


def local(tensor: Tensor) -> Tensor:
    """This process's part, in the same memory."""
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor


def _parts(tensor: Any) -> int:
    """Into how many parts a tensor is cut; the other processes have copies."""
    count = 1
    if hasattr(tensor, "placements"):
        for placement, size in zip(tensor.placements, tensor.device_mesh.shape, strict=True):
            count *= 1 if placement.is_replicate() else size
    return count
