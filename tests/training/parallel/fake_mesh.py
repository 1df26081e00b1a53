"""One process that believes to be the first of 64: exchanges give nothing, tensors have shapes and no numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
import torch.distributed as dist
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.testing._internal.distributed.fake_pg import FakeStore

from seedstock.models import experts
from seedstock.objectives import spectra
from seedstock.training.parallel import expert, ring

RANKS = 64


@contextmanager
def mesh_of_64() -> Iterator[None]:
    """Inside, this is process 0 of 64."""
    dist.init_process_group("fake", rank=0, world_size=RANKS, store=FakeStore())
    try:
        yield
    finally:
        dist.destroy_process_group()


@contextmanager
def no_numbers() -> Iterator[None]:
    """Inside, tensors have no numbers. Whoever looks at one is told that the general case holds: not all positions are
    of one document, every position may be chosen, tokens go to experts evenly, and runs of positions have several
    documents, and prefixes."""

    def everywhere(x: torch.Tensor, **options: Any) -> torch.Tensor:
        return torch.zeros(x.numel(), x.ndim, dtype=torch.int64)

    def all_of_them(x: torch.Tensor, where: Any) -> torch.Tensor:
        chosen = isinstance(where, torch.Tensor) and where.dtype == torch.bool
        return x.flatten(0, where.ndim - 1) if chosen else torch.Tensor.__getitem__(x, where)

    def evenly(x_MD: torch.Tensor, weight_EOD: torch.Tensor, sizes_E: torch.Tensor) -> torch.Tensor:
        parts = x_MD.tensor_split(len(weight_EOD))
        return torch.cat([part @ one.T for part, one in zip(parts, weight_EOD.unbind(), strict=True)])

    def shared(sent_PL: torch.Tensor, received_PL: torch.Tensor, rows: int) -> tuple[list[int], list[int]]:
        each = [rows // len(sent_PL)] * len(sent_PL)
        return each, each

    def several(flags: torch.Tensor) -> list[Any]:
        rows, columns = flags.shape[1:]
        return [[[False] * columns] * rows, [[False] * columns] * rows, [[True] * columns] * rows]

    with ExitStack() as patches:
        patches.enter_context(mock.patch.object(FakeTensor, "__bool__", lambda self: False))
        patches.enter_context(mock.patch.object(FakeTensor, "__getitem__", all_of_them))
        patches.enter_context(mock.patch.object(torch, "nonzero", everywhere))
        patches.enter_context(mock.patch.object(nn.Module, "to_empty", lambda module, device: shapes_of(module)))
        patches.enter_context(mock.patch.object(experts, "_one_by_one", evenly))
        patches.enter_context(mock.patch.object(expert, "_splits", shared))
        patches.enter_context(mock.patch.object(ring, "_read", several))
        patches.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        patches.callback(spectra._tables.cache_clear)  # what was kept in here has no numbers
        spectra._tables.cache_clear()
        yield


def shapes_of(network: nn.Module) -> nn.Module:
    """A network on no device, with tensors that have a device and no numbers."""
    for module in network.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                module._parameters[name] = nn.Parameter(torch.empty(parameter.shape))
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype)
    return network
