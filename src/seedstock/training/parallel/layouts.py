"""A model laid out over a world, in the one order that composes: tensor → recomputation → compilation → sharding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn

from seedstock.models.block import Block
from seedstock.models.experts import Experts
from seedstock.models.linear import Linear
from seedstock.training.configs.parallel import ParallelConfig
from seedstock.training.parallel.world import World

Layout = Callable[[Any, World, ParallelConfig], None]


def _context(passing: Any, world: World, config: ParallelConfig) -> None:
    from seedstock.training.parallel.context import Context

    passing.context = Context(world.within["context"], ring=config.ring)
    passing.context.lay(passing.nets)


def _tensor(passing: Any, world: World, config: ParallelConfig) -> None:
    from seedstock.training.parallel.tensor import parallelize

    parallelize(passing.nets, world.mesh["tensor"], sequence=config.sequence)


def _expert(passing: Any, world: World, config: ParallelConfig) -> None:
    from seedstock.training.parallel.expert import divide

    divide(passing.nets, world.within["expert"])


def _pipeline(passing: Any, world: World, config: ParallelConfig) -> None:
    from seedstock.training.parallel.pipeline import Pipeline

    passing.pipeline = Pipeline(passing, world.mesh["pipeline"], config.schedule)


CUTTING: dict[str, Layout] = {"pipeline": _pipeline, "context": _context, "tensor": _tensor, "expert": _expert}
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
            layout(passing, world, config)
    again(passing.nets, recompute)
    if compile:
        compile(passing.nets)
    if world.degrees.several == {"pipeline"}:
        return
    reshard = world.degrees.shard * world.degrees.context > 1 if config.reshard == "auto" else config.reshard
    apart: dict[str, Any] = {}
    if world.degrees.expert > 1:
        from seedstock.training.parallel.expert import divided

        apart = {"apart": divided(passing.nets), "holders": mesh.holders(world.within)}
    shard(passing, mesh.sharding(world.mesh), reshard=reshard, **apart)
    if reshard and recompute == "none":  # else it is not kept anyway
        for block in passing.modules():
            for layer in block.modules() if isinstance(block, Block) else ():
                if isinstance(layer, Linear | Experts):
                    layer.again = True


@contextmanager
def gathered(passing: Any) -> Iterator[None]:
    """Inside, what lies outside of blocks can be used without a call of ``passing``, and layers of other stages are
    here too; all processes enter together."""
    with ExitStack() as held:
        if hasattr(passing, "unshard"):
            passing.unshard()
            held.callback(passing.reshard)
        if getattr(passing, "pipeline", None) is not None:
            held.enter_context(passing.pipeline.borrowed())
        yield
