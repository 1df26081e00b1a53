"""Initial weights, keyed by (seed, parameter name): independent of order, device and what else is in the network."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from seedstock.models.keys import generator


def fill(parameter: Tensor, std: float, seed: int, name: str) -> None:
    """Normal values with standard deviation ``std``, drawn on the CPU and keyed by (seed, name)."""
    if std == 0:
        parameter.zero_()
        return
    values = torch.empty(parameter.shape, dtype=torch.float32)
    put(parameter, values.normal_(0.0, std, generator=generator("initial weights", seed, name)))


def put(parameter: Tensor, values: Tensor) -> None:
    """Copies whole ``values``; of a parameter that is cut up among processes, those of this one's part."""
    held: Any = parameter
    if hasattr(held, "placements"):
        from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

        sizes, starts = compute_local_shape_and_global_offset(held.shape, held.device_mesh, held.placements)
        values = values[tuple(slice(start, start + size) for start, size in zip(starts, sizes, strict=True))]
        held = held.to_local()
    held.copy_(values)


@torch.no_grad()
def initialise(network: nn.Module, roles: dict[str, str], config: Any, seed: int) -> None:
    """Sets every parameter by its role.

    ``normal``: standard deviation 0.02 everywhere (GPT-2). ``scaled``: the same, and output projections divided by
    sqrt(2 * layers) (Radford et al. 2019, section 2.3). ``zero``: output projections and head are zero, other matrices
    have 0.5 / sqrt(inputs), embeddings 1. ``init_std`` takes the place of the 0.02 and of the 0.5 / sqrt(inputs).
    ``config.initial_scale(name, role)`` is a factor more, where there is a base width (``models.width``).
    Where scores have a scale of their own, queries take up the difference (Raffel et al. 2020, T5: no scale).
    """
    for buffer in network.buffers():
        buffer.zero_()
    scale, own_scale = config.attention_scale, getattr(config, "initial_scale", lambda name, role: 1.0)
    for name, parameter in network.named_parameters():
        role, zero = roles[name], config.initialisation == "zero"
        if role == "modulation":
            parameter.zero_()
            continue
        own = own_scale(name, role)
        if role == "vector":
            parameter.fill_(own if name.endswith("norm.weight") else 0.0)
            continue
        std = config.init_std or (0.5 / math.sqrt(parameter.shape[-1]) if zero else 0.02)
        if role == "row" and config.initialisation == "scaled":
            std /= math.sqrt(2 * config.layers)
        if scale is not None and name.endswith(".query.weight"):
            std /= scale * math.sqrt(config.head_size)
        std *= own
        if zero:
            std = {"embedding": 1.0, "head": 0.0, "row": 0.0}.get(role, std)
        fill(parameter, std, seed, name)
