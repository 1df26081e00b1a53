"""Networks without values: several processes lay one out first, and then each makes or reads its own parts alone.

So a model can be trained that no device holds whole. Initial weights are keyed by name and made parameter by
parameter: they are those of one process, bit for bit, and a process holds one parameter whole at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from seedstock.models.whole import Whole
from seedstock.objectives.base import Objective


def possible(network: type[nn.Module], objective: Objective) -> bool:
    """Whether first weights can be made part by part: nobody looks at several parameters at once."""
    known = type(objective).assembled is Objective.assembled  # teachers begin as copies of a whole network
    return issubclass(network, Whole) and network.by_parts() and known


def is_blank(network: nn.Module) -> bool:
    """Whether it lies on the meta device."""
    return any(parameter.is_meta for parameter in network.parameters())


def whole(network: Any, device: torch.device) -> nn.Module:
    """One like it, with its initial weights."""
    made: nn.Module = type(network)(network.config, network.vocab_size, network.seed, str(device))
    return made


@torch.no_grad()
def fill(passing: nn.Module, device: torch.device, begin: Callable[[Any], None] | None) -> None:
    """Gives what has no values a place on the device; then ``begin`` gives the network its first ones. Without it they
    are undefined, but for buffers, which are zero: for who reads a checkpoint next."""
    network: Any = passing.nets["network"]  # type: ignore[index]
    if not is_blank(network):
        return

    def placed(tensor: Tensor) -> Tensor:
        return torch.empty_like(tensor, device=device) if tensor.is_meta else tensor

    passing._apply(placed)  # as ``to_empty`` does, which would take all there is
    for buffer in network.buffers():
        buffer.zero_()
    if begin is not None:
        begin(network)
