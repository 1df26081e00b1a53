"""Adafactor (Shazeer and Stern 2018, arXiv 1804.04235, algorithm 4), as ``torch.optim.Adafactor`` has it.

Torch's own cannot be used where parameters lie on several processes: means of rows and columns, and the root mean
squares of parameter and update, are of the whole. Here they are sums of the parts, added up among who has one; the
means lie whole on every process, since they are small.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from seedstock.training.configs.optimizers import AdafactorConfig
from seedstock.training.norm import local
from seedstock.training.optimizers.groups import Parameters, grouped
from seedstock.training.optimizers.stepped import Stepped
from seedstock.training.optimizers.whole import place


def build(config: AdafactorConfig, parameters: Parameters) -> Adafactor:
    """Adafactor over all parameters."""
    rate, options = config.learning_rate, {"eps": config.eps, "smallest": config.smallest}
    groups = grouped(parameters, config, rate)
    return Adafactor(groups, lr=rate, decay=config.decay, threshold=config.threshold, **options)


class Adafactor(Stepped):
    """The optimizer. The state of ``[…, R, C]`` is ``rows`` ``[…, R]`` and ``columns`` ``[…, C]``, the means of squared
    gradients; that of a vector is ``variance``."""

    def __init__(
        self,
        parameters: Any,
        *,
        lr: float,
        decay: float = 0.8,
        eps: float = 1e-15,
        smallest: float = 1e-3,
        threshold: float = 1.0,
        weight_decay: float = 0.0,
    ) -> None:
        options = {"decay": decay, "eps": eps, "smallest": smallest, "threshold": threshold}
        # ``fused``: steps are counted on the device, as by torch's fused optimizers.
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay, "fused": True} | options)
        # As torch's own optimizers say it: where ``found_inf`` (0-d) is 1, a step leaves everything as it was.
        self._step_supports_amp_scaling = True

    def _step(self, group: dict[str, Any], parameters: list[Any]) -> None:
        found = getattr(self, "found_inf", None)
        gradients = [local(p.grad) for p in parameters]
        if found is not None:
            gradients = [torch.where(found > 0, 0.0, g) for g in gradients]
        sums = [_sums(p, g) for p, g in zip(parameters, gradients, strict=True)]
        _add_up(parameters, sums)
        updates, sizes = [], []
        for p, gradient, (size, *means) in zip(parameters, gradients, sums, strict=True):
            state = self._count(p, found)
            new = state["step"].clamp(min=1) ** -group["decay"]
            update = _update(p, state, means, gradient, new if found is None else new * (1 - found), group["eps"])
            updates.append(update)
            sizes.append([size, update.square().sum()])
        squares = [[one] for _, one in sizes]
        _add_up(parameters, squares)
        for p, update, (size, _), (square,) in zip(parameters, updates, sizes, squares, strict=True):
            step, count = self.state[p]["step"], p.numel()
            rate = (size / count).sqrt().clamp(min=group["smallest"]) * step.clamp(min=1).rsqrt().clamp(max=group["lr"])
            rate = rate / ((square / count).sqrt() / group["threshold"]).clamp(min=1.0)
            if group["weight_decay"]:
                kept = 1 - group["lr"] * group["weight_decay"]
                local(p).mul_(kept if found is None else torch.where(found > 0, 1.0, torch.full_like(found, kept)))
            local(p).sub_(update.mul_(rate))

    def _count(self, p: Any, found: Tensor | None) -> dict[str, Tensor]:
        state = self.state[p]
        if "step" not in state:
            like = local(p)
            state["step"] = torch.zeros((), device=like.device)
            if p.ndim < 2:
                state["variance"] = torch.zeros_like(p)
            else:
                state["rows"] = like.new_zeros(p.shape[:-1])
                state["columns"] = like.new_zeros((*p.shape[:-2], p.shape[-1]))
        state["step"] += 1 if found is None else 1 - found
        return state


def _sums(p: Any, gradient: Tensor) -> list[Tensor]:
    """What this process's part gives of sums over the whole: the parameter's squares, and of a matrix the squared
    gradient's by row and by column."""
    found = [local(p).square().sum()]
    if p.ndim < 2:
        return found
    *before, rows, columns = _place(p)
    squares = gradient.square()
    by_row, by_column = squares.new_zeros(p.shape[:-1]), squares.new_zeros((*p.shape[:-2], p.shape[-1]))
    by_row[(*before, rows)], by_column[(*before, columns)] = squares.sum(-1), squares.sum(-2)
    return [*found, by_row, by_column]


def _update(p: Any, state: dict[str, Tensor], sums: list[Tensor], gradient: Tensor, new: Tensor, eps: float) -> Tensor:
    """This process's part of the gradient over the root of its estimated square."""
    if p.ndim < 2:
        variance = local(state["variance"])
        return variance.lerp_(gradient.square(), new).clamp(min=eps * eps).rsqrt_().mul_(gradient)
    rows, columns = state["rows"], state["columns"]
    rows.lerp_(sums[0] / p.shape[-1], new)
    columns.lerp_(sums[1] / p.shape[-2], new)
    *before, high, wide = _place(p)
    share = rows / rows.mean(-1, keepdim=True).clamp(min=eps)
    estimate = share[(*before, high)][..., None] * columns[(*before, wide)][..., None, :]
    return estimate.clamp_(min=eps * eps).rsqrt_().mul_(gradient)


def _place(p: Any) -> tuple[slice, ...]:
    return place(p) if hasattr(p, "placements") else tuple(slice(None) for _ in p.shape)


def _add_up(parameters: list[Any], sums: list[list[Tensor]]) -> None:
    """Adds up every parameter's sums over the processes that it is cut among, in place: one exchange for all alike."""
    alike: dict[Any, list[int]] = defaultdict(list)
    for number, p in enumerate(parameters):
        if hasattr(p, "placements"):
            cut = tuple(dim for dim, placement in enumerate(p.placements) if not placement.is_replicate())
            alike[p.device_mesh, cut].append(number)
    for (mesh, cut), numbers in alike.items():
        tensors = [one for number in numbers for one in sums[number]]
        flat = torch.cat([one.reshape(-1) for one in tensors])
        for dim in cut:
            dist.all_reduce(flat, group=mesh.get_group(dim))
        for one, whole in zip(tensors, flat.split([one.numel() for one in tensors]), strict=True):
            one.copy_(whole.view(one.shape))
