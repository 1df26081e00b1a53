"""Optimizer state as named tensors and numbers, whatever the order of the parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from seedstock.errors import IntegrityError, SeedstockError
from seedstock.training.optimizers.groups import Parameters


def _entries(optimizers: list[Optimizer], parameters: Parameters) -> Iterator[tuple[str, str, Any]]:
    names = {id(parameter): name for name, parameter in parameters.items()}
    for optimizer in optimizers:
        for parameter, slots in optimizer.state.items():
            for slot, value in slots.items():
                yield slot, names[id(parameter)], value


def tensors(optimizers: list[Optimizer], parameters: Parameters) -> dict[str, Tensor]:
    """``slot.parameter`` → tensor."""
    entries = _entries(optimizers, parameters)
    return {f"{slot}.{name}": value for slot, name, value in entries if isinstance(value, Tensor)}


def numbers(optimizers: list[Optimizer], parameters: Parameters) -> dict[str, int | float | bool | None]:
    """``slot.parameter`` → number. Raises SeedstockError for state that is neither tensor nor number."""
    found = {}
    for slot, name, value in _entries(optimizers, parameters):
        if isinstance(value, Tensor):
            continue
        if not isinstance(value, int | float | bool | None):
            what = f"the optimizer keeps {slot} as {type(value).__name__}, which no checkpoint can hold"
            raise SeedstockError(what, fix="keep optimizer state as tensors or numbers")
        found[f"{slot}.{name}"] = value
    return found


def allocate(
    sizes: dict[str, tuple[torch.Size, torch.dtype]], optimizers: list[Optimizer], parameters: Parameters
) -> dict[str, Tensor]:
    """Makes room in the optimizers for saved state (``slot.parameter`` → size and dtype) and returns the tensors.

    It lies where its parameter lies, but counts of steps are on the CPU unless the optimizer is fused, as torch does
    it. Raises IntegrityError for state of a parameter that is not optimized.
    """
    owners = {id(p): optimizer for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]}
    room = {}
    for key, (size, dtype) in sizes.items():
        optimizer, parameter, slot = _owner(key, owners, parameters)
        if size == parameter.shape:
            room[key] = torch.empty_like(parameter, dtype=dtype, requires_grad=False)
        else:
            device = parameter.device if size or optimizer.defaults.get("fused") else torch.device("cpu")
            room[key] = torch.empty(size, dtype=dtype, device=device)
        optimizer.state[parameter][slot] = room[key]
    return room


def restore_numbers(found: dict[str, Any], optimizers: list[Optimizer], parameters: Parameters) -> None:
    """Puts back what ``numbers`` gave."""
    owners = {id(p): optimizer for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]}
    for key, value in found.items():
        optimizer, parameter, slot = _owner(key, owners, parameters)
        optimizer.state[parameter][slot] = value


def _owner(key: str, owners: dict[int, Optimizer], parameters: Parameters) -> tuple[Optimizer, Tensor, str]:
    slot, _, name = key.partition(".")
    parameter = parameters.get(name)
    if parameter is None or id(parameter) not in owners:
        raise IntegrityError(f"the checkpoint has optimizer state for {name}, which is not trained here")
    return owners[id(parameter)], parameter, slot
