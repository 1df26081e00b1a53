"""Whole matrices for an optimizer that needs them, where their rows lie on several processes.

Matrices are dealt out: each process is sent all parts of its own, works on them, and sends every part of the result
back, in one exchange each way (as ZeRO-1 deals out optimizer state: Rajbhandari et al. 2020; for Muon: Liu et al. 2025,
arXiv 2502.16982, section 2.3). Nothing is worked out twice, except by copies of the model.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

Work = Callable[[list[int], list[Tensor]], list[Tensor]]
"""From the numbers of tensors, and these tensors whole, to whole tensors of the same shapes."""


def laid(parameters: list[Any], parts: list[Tensor]) -> list[Any]:
    """This process's parts as DTensors that lie as the parameters do."""
    from torch.distributed.tensor import DTensor

    found = []
    for p, one in zip(parameters, parts, strict=True):
        lies = {"shape": p.shape, "stride": torch.empty(p.shape, device="meta").stride()}
        found.append(DTensor.from_local(one, p.device_mesh, p.placements, run_check=False, **lies))
    return found


def through(tensors: list[Any], work: Work, dtype: torch.dtype, *, apart: bool = True) -> list[Tensor]:
    """This process's parts of ``work`` on the whole of each DTensor, in ``dtype``; all processes call it together.

    Who works on which follows from shapes and placements alone. A stack of which each process has some matrices whole
    is worked on where they lie, unless its matrices may not be taken ``apart``.
    """
    found: list[Tensor | None] = [None] * len(tensors)
    dealt: dict[Any, list[int]] = defaultdict(list)
    for number, tensor in enumerate(tensors):
        cut = _cut(tensor)
        if not cut or (apart and tensor.ndim == 3 and len(cut) == 1 and tensor.placements[cut[0]].is_shard(0)):
            local = tensor.to_local().to(dtype)
            found[number] = work([number], [local])[0] if local.numel() else local
        elif len(cut) == 1:
            dealt[tensor.device_mesh.get_group(cut[0])].append(number)
        else:
            found[number] = _everywhere(number, tensor, work, dtype)
    for group, numbers in dealt.items():
        for number, part in zip(
            numbers, _deal(numbers, [tensors[n] for n in numbers], work, dtype, group), strict=True
        ):
            found[number] = part
    return found  # type: ignore[return-value]


def _deal(numbers: list[int], tensors: list[Any], work: Work, dtype: torch.dtype, group: Any) -> list[Tensor]:
    size, rank = dist.get_world_size(group), dist.get_rank(group)
    owners = _owners([tensor.shape for tensor in tensors], size)
    locals_ = [tensor.to_local().to(dtype) for tensor in tensors]
    parts = [_parts(tensor, size) for tensor in tensors]
    order = sorted(range(len(tensors)), key=lambda i: owners[i])
    own = [i for i in order if owners[i] == rank]
    sent = [sum(locals_[i].numel() for i in order if owners[i] == owner) for owner in range(size)]
    received = [sum(math.prod(parts[i][source]) for i in own) for source in range(size)]
    outgoing = torch.cat([locals_[i].reshape(-1) for i in order])
    incoming = outgoing.new_empty(sum(received))
    dist.all_to_all_single(incoming, outgoing, received, sent, group=group)
    pieces: dict[int, list[Tensor]] = {i: [] for i in own}
    at = 0
    for source in range(size):
        for i in own:
            count = math.prod(parts[i][source])
            pieces[i].append(incoming[at : at + count].view(parts[i][source]))
            at += count
    done = work([numbers[i] for i in own], [torch.cat(pieces[i], _dim(tensors[i])) for i in own]) if own else []
    back = [
        whole.split([part[_dim(tensors[i])] for part in parts[i]], _dim(tensors[i]))
        for i, whole in zip(own, done, strict=True)
    ]
    returned = [piece[source].reshape(-1) for source in range(size) for piece in back]
    outgoing = torch.cat(returned).to(dtype) if returned else incoming
    incoming = outgoing.new_empty(sum(sent))
    dist.all_to_all_single(incoming, outgoing, sent, received, group=group)
    found, at = [torch.empty(0)] * len(tensors), 0
    for i in order:
        found[i] = incoming[at : at + locals_[i].numel()].view_as(locals_[i])
        at += locals_[i].numel()
    return found


def _owners(shapes: list[torch.Size], size: int) -> list[int]:
    """Who works on which: the costliest first, each to who has the least so far."""
    costs = [math.prod(shape) * min(shape[-2:]) for shape in shapes]
    load, owners = [0] * size, [0] * len(shapes)
    for i in sorted(range(len(shapes)), key=lambda i: (-costs[i], i)):
        owners[i] = min(range(size), key=lambda rank: (load[rank], rank))
        load[owners[i]] += costs[i]
    return owners


def _cut(tensor: Any) -> list[int]:
    """The dimensions of the mesh that a tensor is cut along; one of a single process cuts nothing."""
    placed = enumerate(tensor.placements)
    return [dim for dim, one in placed if not one.is_replicate() and tensor.device_mesh.size(dim) > 1]


def _dim(tensor: Any) -> int:
    return tensor.placements[_cut(tensor)[0]].dim


def _parts(tensor: Any, size: int) -> list[list[int]]:
    """The shape of every process's part: as ``torch.chunk`` cuts."""
    dim, shape = _dim(tensor), list(tensor.shape)
    step = -(-shape[dim] // size)
    lengths = [min(step, max(0, shape[dim] - rank * step)) for rank in range(size)]
    return [[*shape[:dim], length, *shape[dim + 1 :]] for length in lengths]


def _everywhere(number: int, tensor: Any, work: Work, dtype: torch.dtype) -> Tensor:
    """For a matrix that is cut twice: everybody works on the whole."""
    whole = work([number], [tensor.full_tensor().to(dtype)])[0]
    return whole[place(tensor)]


def place(tensor: Any) -> tuple[slice, ...]:
    """Where in the whole of a DTensor this process's part lies."""
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

    shape, offset = compute_local_shape_and_global_offset(tensor.shape, tensor.device_mesh, tensor.placements)
    return tuple(slice(start, start + length) for start, length in zip(offset, shape, strict=True))
