"""Expert parallelism: experts are divided among processes, and every token is sent to its experts and back.

Two exchanges of rows each way (all-to-all, as Lepikhin et al. 2020, GShard), of as many rows as were chosen: nothing is
dropped or padded. Routers are on every process, and see its own tokens.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import Shard, distribute_tensor

from seedstock.models.experts import Experts, experts_of, permute
from seedstock.training.parallel.views import Stream, View, install

STACKS = ("gate", "up", "down")


def divide(nets: nn.ModuleDict, mesh: DeviceMesh) -> None:
    """Leaves every process its part of each mixture's experts, over a mesh of one dimension, in place."""
    for module in experts_of(nets):
        for name in STACKS:
            parameter = module._parameters[name]
            if parameter is not None:
                placed = distribute_tensor(parameter.detach(), mesh, [Shard(0)], src_data_rank=None)
                module._parameters[name] = nn.Parameter(placed, requires_grad=parameter.requires_grad)
        own = {name: View("cut", 0) for name in STACKS if module._parameters[name] is not None}
        install(module, own, Stream(), mesh.get_local_rank())
        module.work = _Sent(module, mesh)  # type: ignore[method-assign]


def divided(nets: nn.Module) -> set[nn.Parameter]:
    """The parameters that ``divide`` cut."""
    found = (module._parameters[name] for module in experts_of(nets) for name in STACKS)
    return {parameter for parameter in found if parameter is not None}


class _Sent:
    """``Experts.work`` for rows of all experts, of which some are elsewhere."""

    def __init__(self, module: Experts, mesh: DeviceMesh) -> None:
        self._module, self.group, self.size = (module,), mesh.get_group(), mesh.size()  # a tuple hides it from nn

    @torch.compiler.disable
    def __call__(self, x_MD: Tensor, sizes_E: Tensor) -> Tensor:
        module = self._module[0]
        sent_PL = sizes_E.view(self.size, -1)  # rows for each process and each of its experts
        received_PL = torch.empty_like(sent_PL)
        dist.all_to_all_single(received_PL, sent_PL.contiguous(), group=self.group)
        out, back = _splits(sent_PL, received_PL, len(x_MD))
        rows_RD = _Exchange.apply(x_MD, back, out, self.group)
        # They come by process, and by expert of each: experts are to be together.
        local = received_PL.shape[1]
        numbers = torch.arange(local, device=x_MD.device).repeat(self.size)
        order = numbers.repeat_interleave(received_PL.flatten(), output_size=sum(back)).argsort(stable=True)
        inverse = order.argsort()
        done_RD = Experts.work(module, permute(rows_RD, order, inverse), received_PL.sum(0))
        return _Exchange.apply(permute(done_RD, inverse, order), out, back, self.group)


def _splits(sent_PL: Tensor, received_PL: Tensor, rows: int) -> tuple[list[int], list[int]]:
    """How many of the ``rows`` go to each process, and how many come; the host waits for them."""
    out, back = torch.stack([sent_PL.sum(1), received_PL.sum(1)]).tolist()
    return out, back


class _Exchange(torch.autograd.Function):
    """Rows to other processes, ``sent`` of them to each, and ``received`` from each; gradients take the way back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, received: list[int], sent: list[int], group: Any) -> Tensor:
        ctx.received, ctx.sent, ctx.group = received, sent, group
        return _exchange(x, received, sent, group)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *ups: Tensor) -> Any:
        return _exchange(ups[0], ctx.sent, ctx.received, ctx.group), None, None, None


def _exchange(x: Tensor, received: list[int], sent: list[int], group: Any) -> Tensor:
    found = x.new_empty(sum(received), *x.shape[1:])
    dist.all_to_all_single(found, x.contiguous(), received, sent, group=group)
    return found
