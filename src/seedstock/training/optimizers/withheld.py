"""A step of an optimizer that is taken, or not, as a number on the device says: nobody waits for it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim import Optimizer

from seedstock.training.norm import local


@torch.no_grad()
def step(optimizer: Optimizer, held: bool | Tensor) -> None:
    """One step; where ``held`` (0-d bool, or known on the host), weights and state stay as they are, bit for bit.

    An optimizer that heeds ``found_inf`` as torch's gradient scaling has it (the fused ones, Muon, Lion, Adafactor)
    does so at no cost; around any other, weights and state are copied and put back, and gradients are zero.
    """
    if held is True:
        return
    if held is False:
        optimizer.step()
        return
    if getattr(optimizer, "_step_supports_amp_scaling", False):
        optimizer.grad_scale, optimizer.found_inf = None, held.float()  # type: ignore[attr-defined]
        try:
            optimizer.step()
        finally:
            del optimizer.grad_scale, optimizer.found_inf  # type: ignore[attr-defined]
        return
    before = [(tensor, tensor.clone()) for tensor in (*_weights(optimizer), *map(local, _slots(optimizer)))]
    for tensor in _gradients(optimizer):  # there are factorizations that take no NaN
        tensor.copy_(torch.where(held, 0.0, tensor))
    known = {id(slot) for slot in _slots(optimizer)}
    optimizer.step()
    made = [(local(slot), local(slot).new_zeros(())) for slot in _slots(optimizer) if id(slot) not in known]
    for tensor, old in before + made:
        tensor.copy_(torch.where(held.to(tensor.device), old, tensor))


def _weights(optimizer: Optimizer) -> list[Tensor]:
    return [local(p.detach()) for group in optimizer.param_groups for p in group["params"] if p.grad is not None]


def _gradients(optimizer: Optimizer) -> list[Tensor]:
    return [local(p.grad) for group in optimizer.param_groups for p in group["params"] if p.grad is not None]


def _slots(optimizer: Optimizer) -> list[Tensor]:
    return [slot for state in optimizer.state.values() for slot in state.values() if isinstance(slot, Tensor)]
