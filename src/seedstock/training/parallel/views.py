"""Plain local views of parameters that are DTensors, so that model code stays that of one device.

A module's class is given a property in each parameter's place, which hands the local part to the code and tells
autograd what its gradient is. State dicts and optimizers see the DTensor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.distributed.tensor import DTensor, Partial, Placement, Replicate, Shard


@dataclass
class Stream:
    """How the stream between blocks lies at present: ``cut`` along positions, or whole on every process."""

    cut: bool = False


@dataclass(frozen=True)
class View:
    """What the code is given for one parameter, and what becomes of its gradient.

    ``cut`` (with ``dim``): a part, whose gradient is a part. ``whole``: everything, and every process has the same
    gradient. ``term``: everything, and gradients are terms of a sum. ``stream``: the one or the other, as the stream
    lies. ``once``: everything on one process and zeros on the others, since what it is added to is added up.
    """

    kind: str
    dim: int = 0

    def placement(self) -> Placement:
        """How the parameter lies over the processes."""
        return Shard(self.dim) if self.kind == "cut" else Replicate()

    def local(self, parameter: DTensor, stream: Stream, rank: int) -> Tensor:
        """The plain tensor that the code is given."""
        if self.kind == "cut":
            return parameter.to_local()
        terms = self.kind in ("term", "once") or (self.kind == "stream" and stream.cut)
        found = parameter.to_local(grad_placements=[Partial() if terms else Replicate()])
        return found * float(rank == 0) if self.kind == "once" else found


def install(module: nn.Module, views: dict[str, View], stream: Stream, rank: int) -> None:
    """Puts properties in the place of a module's own parameters."""

    def getter(name: str, view: View) -> Callable[[nn.Module], Tensor | None]:
        def get(self: nn.Module) -> Any:
            held = self._parameters[name]
            # While it is sharded besides, only FSDP asks, and wants it as it is.
            if not isinstance(held, DTensor) or held.device_mesh.ndim > 1:
                return held
            return view.local(held, stream, rank)

        return get

    properties: dict[str, Any] = {name: property(getter(name, view)) for name, view in views.items()}
    module.__class__ = type(type(module).__name__, (type(module),), properties)
