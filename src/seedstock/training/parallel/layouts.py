"""A model laid out over a world, in the one order that composes: tensor → recomputation → compilation → sharding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from seedstock.training.configs.parallel import ParallelConfig
from seedstock.training.parallel.world import World

Layout = Callable[[nn.ModuleDict, World, ParallelConfig], None]


def _tensor(nets: nn.ModuleDict, world: World, config: ParallelConfig) -> None:
    from seedstock.training.parallel.tensor import parallelize

    parallelize(nets, world.mesh["tensor"], sequence=config.sequence)


CUTTING: dict[str, Layout] = {"tensor": _tensor}
"""What changes modules before they are compiled, by the dimension that asks for it, in this order."""


def spread(
    passing: Any,
    world: World,
    config: ParallelConfig,
    *,
    recompute: str = "none",
    compile: Callable[[nn.ModuleDict], None] | None = None,
) -> None:
    """Lays ``passing.nets`` out over the world, in place. Weights must be there; every process has the same ones."""
    from seedstock.training.parallel.recompute import recompute as again

    if world.alone:
        again(passing.nets, recompute)
        if compile is not None:
            compile(passing.nets)
        return
    from seedstock.training.parallel import mesh
    from seedstock.training.parallel.shard import shard

    for dimension, layout in CUTTING.items():
        if getattr(world.degrees, dimension) > 1:
            layout(passing.nets, world, config)
    again(passing.nets, recompute)
    if compile:
        compile(passing.nets)
    reshard = world.degrees.shard > 1 if config.reshard == "auto" else config.reshard
    shard(passing, mesh.sharding(world.mesh), reshard=reshard)


@contextmanager
def gathered(passing: Any) -> Iterator[None]:
    """Inside, what lies outside of blocks can be used without a call of ``passing``; all processes enter together."""
    if not hasattr(passing, "unshard"):
        yield
        return
    passing.unshard()
    try:
        yield
    finally:
        passing.reshard()
