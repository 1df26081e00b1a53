"""Vectors that latents are rounded to, which follow them by moving means; those that nobody uses begin anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from seedstock.models.keys import generator


class Codebook(nn.Module):
    """``weight`` ``[K, E]``. Rounding gives gradients to nobody: see ``straight_through``.

    With ``follow`` each vector is the mean of the latents that it stood for, in a moving average (van den Oord et al.
    2017, appendix A.1), and one that is used less than ``revive`` times as often as an even share would be is put
    beside another one, which is drawn by how often it is used, as far from it as its latents lie on average. Sums of a
    step are taken over micro-batches and processes first, so that neither changes the codebook.
    """

    def __init__(self, codes: int, width: int, seed: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(codes, width))
        self.seed, self.momentum, self.revive, self.learned = seed, 0.0, 0.0, True
        self.followed = False
        self.register_buffer("usage", torch.zeros(codes))
        self.register_buffer("total", torch.zeros(codes, width))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("tally", torch.zeros(codes, width + 2), persistent=False)
        self.usage: Tensor
        """How often each code was used in a step, in a moving sum; ``total``: of the latents it stood for."""
        self.total: Tensor
        self.steps: Tensor
        self.tally: Tensor

    def follow(self, momentum: float, revive: float, *, learned: bool) -> None:
        """From now on uses are counted; where it is not ``learned`` by gradients, vectors follow their latents."""
        self.followed, self.momentum, self.revive, self.learned = True, momentum, revive, learned
        self.weight.requires_grad_(learned)

    def nearest(self, latents_BTE: Tensor) -> Tensor:
        """The number of the nearest vector, int64 ``[B, T]``."""
        flat, weight = latents_BTE.detach().float().flatten(0, 1), self.weight.detach()
        return (weight.square().sum(1) - 2 * flat @ weight.T).argmin(1).view(latents_BTE.shape[:2])

    def forward(self, codes_BT: Tensor) -> Tensor:
        """The vectors, fp32 ``[B, T, E]``."""
        return nn.functional.embedding(codes_BT, self.weight)

    @torch.no_grad()
    def note(self, latents_BTE: Tensor, codes_BT: Tensor, there_B: Tensor) -> None:
        """Adds what a micro-batch used, of pictures that are there, to the step's sums; not outside of training."""
        if not (self.followed and self.training):
            return
        flat, codes = latents_BTE.float().flatten(0, 1), codes_BT.flatten()
        far = (flat - self.weight[codes]).square().sum(1, keepdim=True)
        rows = torch.cat([torch.ones_like(far), flat, far], 1)
        weights = there_B.to(rows.dtype)[:, None].expand(codes_BT.shape).reshape(-1, 1)
        self.tally.index_add_(0, codes, rows * weights)

    @torch.no_grad()
    def after_step(self, reduce: Callable[[Tensor], Tensor]) -> None:
        """Moves the vectors by a step's sums, which ``reduce`` adds up over processes."""
        if not self.followed:
            return
        found, weight = reduce(self.tally).to(self.weight.dtype), whole(self.weight)
        count, inside = found[:, 0], found[:, 1:-1]
        self.usage.mul_(self.momentum).add_(count)
        self.total.mul_(self.momentum).add_(inside)
        values = weight
        if not self.learned:
            values = torch.where((self.usage > 1e-3)[:, None], self.total / self.usage.clamp_min(1e-3)[:, None], values)
        if self.revive:
            spread = (found[:, -1].sum() / (count.sum().clamp_min(1) * inside.shape[1])).sqrt()
            values = self._revived(values, spread)
        if weight is not self.weight:
            from torch.distributed.tensor import distribute_tensor

            placed: Any = self.weight
            values = distribute_tensor(values, placed.device_mesh, placed.placements, src_data_rank=None)
        self.weight.copy_(values)
        self.tally.zero_()
        self.steps += 1

    def _revived(self, values: Tensor, spread: Tensor) -> Tensor:
        keys = generator("revived codes", self.seed, int(self.steps))
        draws, noise = torch.rand(len(values), generator=keys), torch.randn(values.shape, generator=keys)
        shares = self.usage / self.usage.sum().clamp_min(1e-6)
        parents = torch.searchsorted(shares.cumsum(0), draws.to(shares.device)).clamp(max=len(values) - 1)
        near = values[parents] + spread * noise.to(values.device)
        even = self.usage.mean()
        # Where nothing was used yet, nothing is known to stand beside.
        dead = (self.usage < self.revive * even) & (even > 0)
        self.usage.copy_(torch.where(dead, even, self.usage))
        self.total.copy_(torch.where(dead[:, None], near * even, self.total))
        return torch.where(dead[:, None], near, values)


def whole(parameter: Tensor) -> Tensor:
    """A parameter that processes hold parts of, put together; any other as it is."""
    return parameter.full_tensor() if hasattr(parameter, "full_tensor") else parameter


def straight_through(latents: Tensor, vectors: Tensor) -> Tensor:
    """The vectors, whose gradients go to the latents (Bengio et al. 2013)."""
    return latents + (vectors - latents).detach()
