"""A mixture of experts in the place of a block's MLP: each token goes through the few that its router chooses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from seedstock.models.linear import multiplied
from seedstock.models.mlp import ACTIVATIONS, GATED, MLP

Reduce = Callable[[Tensor], Tensor]


class Routed:
    """What the routers of one pass did, layer by layer.

    ``real`` ``[B, T]`` says which positions count (None: all), ``add`` adds up over the pieces of sequences where they
    are cut. ``balance`` and ``z`` hold a number for each sequence (``[B]``, fp32) from each layer. Once ``losses`` has
    read them it is ``closed``: a layer that is worked out again for its gradients adds nothing. No data class, since
    FSDP copies those that are handed to a layer, and what a layer adds to a copy is lost.
    """

    def __init__(self, real: Tensor | None = None, add: Callable[[Tensor], Tensor] | None = None) -> None:
        self.real, self.add = real, add
        self.closed = False
        self.balance: list[Tensor] = []
        self.z: list[Tensor] = []

    def losses(self, config: Any) -> dict[str, Tensor]:
        """The sum over sequences of each loss that ``config.auxiliary`` names: the mean over layers, times its
        coefficient, so that neither depends on depth."""
        self.closed = True
        found = {"balance": (self.balance, config.balance), "router_z": (self.z, config.router_z_loss)}
        return {name: torch.stack(found[name][0]).mean(0).sum() * found[name][1] for name in config.auxiliary}


class Router(nn.Module):
    """A score for each expert, in fp32 whatever the rest is computed in (Fedus et al. 2021, section 2.4)."""

    def __init__(self, width: int, experts: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(experts, width))

    def forward(self, x_BTD: Tensor) -> Tensor:
        return F.linear(x_BTD.float(), self.weight)


class Experts(nn.Module):
    """Top-k of E gated MLPs, without capacity: no token is dropped (Gale et al. 2022).

    Weights are the softmax over all experts at the chosen ones; with ``normalise_router`` these then sum to one
    (Jiang et al. 2024, Mixtral). ``shared_expert`` adds an MLP that every token goes through (Dai et al. 2024).
    With ``balance_rate`` a bias on each expert's score, in the choice alone, follows the load (Wang et al. 2024).
    """

    again: bool = False
    """Whether what products take of the weights is made again for the gradients (``linear.multiplied``)."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        E, D, W = config.experts, config.width, config.expert_width
        self.experts, self.chosen, self.normalise = E, config.experts_per_token, config.normalise_router
        self.activation, self.balance_rate = config.activation, config.balance_rate
        self.router = Router(D, E)
        self.gate = nn.Parameter(torch.empty(E, W, D)) if config.activation in GATED else None
        self.up = nn.Parameter(torch.empty(E, W, D))
        self.down = nn.Parameter(torch.empty(E, D, W))
        self.shared = MLP(config, config.shared_expert) if config.shared_expert else None
        if self.balance_rate:
            self.register_buffer("bias", torch.zeros(E))
        self.register_buffer("load", torch.zeros(E, dtype=torch.int64), persistent=False)
        self.register_buffer("last_load", torch.zeros(E, dtype=torch.int64), persistent=False)
        self.bias: Tensor
        self.load: Tensor
        """Tokens that each expert was given since the last step; ``last_load``: in the step before."""
        self.last_load: Tensor

    def forward(self, x_BTD: Tensor, routed: Routed | None = None) -> Tensor:
        B, T, D = x_BTD.shape
        logits_BTE = self.router(x_BTD)
        shares_BTE = torch.softmax(logits_BTE, -1)
        ranked_BTE = shares_BTE.detach() + self.bias if self.balance_rate else shares_BTE.detach()
        chosen_BTk = ranked_BTE.topk(self.chosen, -1).indices
        weights_BTk = shares_BTE.gather(-1, chosen_BTk)
        if self.normalise:
            weights_BTk = weights_BTk / weights_BTk.sum(-1, keepdim=True)
        if routed is not None:
            self._note(routed, logits_BTE, shares_BTE, chosen_BTk)
        out_BTD = self._through(x_BTD.reshape(-1, D), chosen_BTk.flatten(0, 1), weights_BTk.flatten(0, 1)).view(B, T, D)
        return out_BTD if self.shared is None else out_BTD + self.shared(x_BTD)

    def _through(self, x_ND: Tensor, chosen_Nk: Tensor, weights_Nk: Tensor) -> Tensor:
        """Tokens sorted by expert, through their experts, and back."""
        N, D = x_ND.shape
        order, sizes = chosen_Nk.flatten().argsort(stable=True), count(chosen_Nk.flatten(), self.experts)
        inverse = order.argsort()
        sorted_MD = permute(x_ND[:, None].expand(N, self.chosen, D).reshape(-1, D), order, inverse)
        out_NkD = permute(self.work(sorted_MD, sizes), inverse, order).view(N, self.chosen, D)
        return (out_NkD * weights_Nk[..., None].to(x_ND.dtype)).sum(1)

    def work(self, x_MD: Tensor, sizes_E: Tensor) -> Tensor:
        """Each expert on its own rows, which lie one after another, ``sizes[e]`` of them."""
        gate_EWD, up_EWD, down_EDW, dtype = self.gate, self.up, self.down, x_MD.dtype
        cast = up_EWD.dtype != dtype

        def into() -> Tensor:
            return (up_EWD if gate_EWD is None else torch.cat([gate_EWD, up_EWD], 1)).to(dtype)

        again = self.again and (cast or gate_EWD is not None)
        inner = multiplied(into, lambda factor: grouped(x_MD, factor, sizes_E), again=again)
        if gate_EWD is not None:
            gate, up = inner.chunk(2, -1)
            inner = ACTIVATIONS[self.activation](gate) * up
        else:
            inner = ACTIVATIONS[self.activation](inner)
        again = self.again and cast
        return multiplied(lambda: down_EDW.to(dtype), lambda factor: grouped(inner, factor, sizes_E), again=again)

    def _note(self, routed: Routed, logits_BTE: Tensor, shares_BTE: Tensor, chosen_BTk: Tensor) -> None:
        """Balance: E times the sum over experts of the share of choices and the mean share of the router's softmax
        (Fedus et al. 2021, equation 4, over each sequence alone: DeepSeek-AI 2024, section 2.1.2), 1 where both are
        even. z: the mean of the squared log-partition (Zoph et al. 2022, equation 5)."""
        B, T, E = shares_BTE.shape
        real_BT = shares_BTE.new_ones(B, T) if routed.real is None else routed.real.float()
        times_BTk = real_BT[..., None].expand(B, T, self.chosen)
        own_BE = shares_BTE.new_zeros(B, E).scatter_add_(1, chosen_BTk.flatten(1), times_BTk.flatten(1))
        sum_BE, z_B1 = (shares_BTE * real_BT[..., None]).sum(1), logits_BTE.logsumexp(-1).square() * real_BT
        times_BE, z_B1, total_B1 = own_BE, z_B1.sum(1, keepdim=True), real_BT.sum(1, keepdim=True)
        if routed.add is not None:
            sum_BE, times_BE, z_B1, total_B1 = routed.add(torch.cat([sum_BE, times_BE, z_B1, total_B1], 1)).split(
                [E, E, 1, 1], 1
            )
        total_B1 = total_B1.clamp(min=1)
        balance_B = E / self.chosen * (times_BE / total_B1 * (sum_BE / total_B1)).sum(-1)
        z_B = (z_B1 / total_B1)[:, 0]
        if routed.closed:
            return
        routed.balance.append(balance_B)
        routed.z.append(z_B)
        if self.training and torch.is_grad_enabled():
            self.load += own_BE.detach().sum(0).long()

    @torch.no_grad()
    def after_step(self, reduce: Reduce) -> None:
        """Takes stock of a step's load, which ``reduce`` adds up over ranks; experts with less than the mean become
        likelier by ``balance_rate``, those with more less likely (Wang et al. 2024, algorithm 1)."""
        self.last_load.copy_(reduce(self.load))
        self.load.zero_()
        if self.balance_rate:
            load = self.last_load.float()
            self.bias += self.balance_rate * torch.sign(load.mean() - load)

    def entropy(self) -> float:
        """How even the last step's load was: its entropy over that of an even one, from 0 to 1. Waits for a GPU."""
        shares = self.last_load.double() / self.last_load.sum().clamp(min=1)
        if self.experts == 1:
            return 1.0
        return float(torch.special.entr(shares).sum() / torch.tensor(self.experts).double().log())


def permute(x: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
    """The rows of ``x`` in this order, of which ``inverse`` is the way back."""
    return _Permute.apply(x, order, inverse)


class _Permute(torch.autograd.Function):
    """Rows in another order; the gradient goes back by the inverse, without the sums of a general index."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
        ctx.save_for_backward(inverse)
        return x.index_select(0, order)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, up: Tensor) -> Any:
        return up.index_select(0, ctx.saved_tensors[0]), None, None


def count(numbers: Tensor, most: int) -> Tensor:
    """How often each number below ``most`` occurs; unlike ``bincount`` it never waits for the device."""
    return torch.zeros(most, dtype=torch.int64, device=numbers.device).scatter_add_(
        0, numbers, torch.ones_like(numbers)
    )


def grouped(x_MD: Tensor, weight_EOD: Tensor, sizes_E: Tensor) -> Tensor:
    """``x @ weight[e].T`` for the rows of each expert e, which lie one after another, ``sizes[e]`` of them."""
    wide = x_MD.shape[1] % 8 == 0 and weight_EOD.shape[1] % 8 == 0
    if x_MD.device.type == "cuda" and x_MD.dtype == torch.bfloat16 and wide and hasattr(F, "grouped_mm"):
        return _all_at_once(x_MD, weight_EOD, sizes_E)
    return _one_by_one(x_MD, weight_EOD, sizes_E)


def _all_at_once(x_MD: Tensor, weight_EOD: Tensor, sizes_E: Tensor) -> Tensor:
    return F.grouped_mm(x_MD, weight_EOD.transpose(1, 2), offs=sizes_E.cumsum(0, dtype=torch.int32))


@torch.compiler.disable
def _one_by_one(x_MD: Tensor, weight_EOD: Tensor, sizes_E: Tensor) -> Tensor:
    parts = x_MD.split(sizes_E.tolist())
    found = [F.linear(part, one) for part, one in zip(parts, weight_EOD.unbind(), strict=True) if len(part)]
    if not found:  # nobody chose any of them: gradients are zeros, and not missing
        return F.linear(x_MD, weight_EOD[0])
    return torch.cat(found) if len(found) > 1 else found[0]


def experts_of(network: nn.Module) -> list[Experts]:
    """Every mixture of a network, in the order of its layers."""
    return [module for module in network.modules() if isinstance(module, Experts)]
