"""Weights, gradients and optimizer state cut up among processes (FSDP2), and copied over ``data`` (HSDP)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.fsdp._fully_shard import _fsdp_common
from torch.distributed.tensor import Shard

from seedstock.models.block import Block
from seedstock.models.experts import experts_of

SEVERAL_MESHES = hasattr(_fsdp_common, "ShardPlacementResult")
"""Whether parameters of one module can be sharded over several meshes: torch 2.12 and later."""


def shard(
    passing: nn.Module,
    mesh: DeviceMesh,
    *,
    reshard: bool,
    apart: set[nn.Parameter] | None = None,
    holders: DeviceMesh | None = None,
) -> None:
    """Shards every block by itself and the rest together, in place; gradients are added up, never averaged.

    The rest (embeddings, heads, whatever objectives use outside a forward call of its own) stays gathered from the
    start of the pass to the end of its gradients. Parameters that are held ``apart`` are sharded over ``holders``.
    """
    place = _placement(mesh["shard"].size())
    if apart and holders is not None:
        if SEVERAL_MESHES:
            place = _apart(place, apart, holders)
        else:
            _by_themselves(passing, mesh, holders, reshard)
    for module in list(passing.modules()):
        if isinstance(module, Block):
            fully_shard(module, mesh=mesh, reshard_after_forward=reshard, shard_placement_fn=place)
    fully_shard(passing, mesh=mesh, reshard_after_forward=False, shard_placement_fn=place)
    for module in passing.modules():
        if isinstance(module, FSDPModule):
            # Losses are sums over the count of the whole batch: what is to be added is never divided again.
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)


def _apart(
    place: Callable[[nn.Parameter], Any], apart: set[nn.Parameter], holders: DeviceMesh
) -> Callable[[nn.Parameter], Any]:
    """The same, but for parameters of which other processes hold other parts."""
    common: Any = _fsdp_common
    info = common.HSDPMeshInfo(holders, 1, 0) if holders.ndim > 1 else common.FSDPMeshInfo(holders, 0)
    size = holders.size(holders.ndim - 1)

    def found(parameter: nn.Parameter) -> Any:
        return common.ShardPlacementResult(_along(parameter, size), info) if parameter in apart else place(parameter)

    return found


def _by_themselves(passing: nn.Module, mesh: DeviceMesh, holders: DeviceMesh, reshard: bool) -> None:
    """The same where a module's parameters are all sharded over one mesh: each mixture's experts are gathered by
    themselves, and so is what of a mixture every process has."""
    size = holders.size(holders.ndim - 1)
    for module in experts_of(passing):
        for whole in (module.router, module.shared):
            if whole is not None:
                fully_shard(whole, mesh=mesh, reshard_after_forward=reshard)
        fully_shard(
            module, mesh=holders, reshard_after_forward=reshard, shard_placement_fn=lambda one: _along(one, size)
        )


def _along(parameter: nn.Parameter, size: int) -> Shard:
    """Experts are cut along the first dimension already."""
    return Shard(1 if parameter.shape[1] % size == 0 else 0)


def _placement(shards: int) -> Callable[[nn.Parameter], Any]:
    def place(parameter: nn.Parameter) -> Any:
        # Fewer experts than processes would be padded to as many.
        if parameter.ndim == 3 and parameter.shape[0] % shards and parameter.shape[1] % shards == 0:
            return Shard(1)
        return None

    return place
