"""Codes of latents: one entry of each of several books, chosen with Gumbel noise."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedstock.models.initialise import fill
from seedstock.models.linear import Linear


class Codes(nn.Module):
    """A product quantizer (Jégou et al. 2011) that gradients go through (Jang et al. 2017), and projections of codes
    and of hidden states into one space, as Baevski et al. 2020 have them."""

    def __init__(self, channels: int, width: int, config: Any, seed: int) -> None:
        super().__init__()
        self.groups, self.entries = config.groups, config.entries
        self.choose = Linear(channels, config.groups * config.entries, True)
        self.books = nn.Parameter(torch.empty(config.groups * config.entries, config.code_width // config.groups))
        self.project_hidden = Linear(width, config.width, True)
        self.project_code = Linear(config.code_width, config.width, True)
        with torch.no_grad():
            for name, one in self.named_parameters():
                std = {"choose.weight": 1.0, "books": 1.0}.get(name, one.shape[-1] ** -0.5)
                fill(one, 0.0 if name.endswith("bias") else std, seed, f"wav2vec2.{name}")

    def roles(self) -> dict[str, str]:
        """What chooses, and the books, are tables' rows."""
        table = {"choose.weight": "head", "books": "head"}
        kinds = {name: "vector" if name.endswith("bias") else "column" for name, _ in self.named_parameters()}
        return kinds | table

    def forward(
        self, latents_BTC: Tensor, noise_BTGV: Tensor | None, temperature_B: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Codes in the common space ``[B, T, width]``, which entries they are ``[B, T]`` (one number for all books),
        and how likely each entry is without noise ``[B, T, groups, entries]``; all fp32 but the number.

        With ``noise`` (Gumbel's) and a temperature, the choice is that of the noisy scores, and its gradient their
        softmax's; without, the likeliest entries are taken.
        """
        scores = self.choose(latents_BTC).float().unflatten(-1, (self.groups, self.entries))
        shares = scores.softmax(-1)
        if noise_BTGV is not None and temperature_B is not None:
            soft = ((scores + noise_BTGV) / temperature_B[:, None, None, None]).softmax(-1)
            which = soft.argmax(-1, keepdim=True)
            chosen = torch.zeros_like(soft).scatter_(-1, which, 1.0) - soft.detach() + soft
        else:
            which = scores.argmax(-1, keepdim=True)
            chosen = torch.zeros_like(scores).scatter_(-1, which, 1.0)
        books = self.books.view(self.groups, self.entries, -1)
        codes = torch.einsum("btgv,gvd->btgd", chosen, books).flatten(2)
        return self.project_code(codes).float(), self.number(which[..., 0]), shares

    def of(self, entries_BNG: Tensor) -> tuple[Tensor, Tensor]:
        """The codes of given entries of each book in the common space, fp32 ``[B, N, width]``, and their numbers."""
        first = torch.arange(self.groups, device=entries_BNG.device) * self.entries
        return self.project_code(self.books[entries_BNG + first].flatten(2)).float(), self.number(entries_BNG)

    def number(self, entries_BNG: Tensor) -> Tensor:
        """One number for the entries of all books, ``[B, N]``."""
        found = torch.zeros_like(entries_BNG[..., 0])
        for group in range(self.groups):
            found = found * self.entries + entries_BNG[..., group]
        return found


def gumbel(uniform: Tensor) -> Tensor:
    """Uniform numbers in [0, 1) as Gumbel noise, fp32."""
    return -(-(uniform.clamp(1e-12, 1 - 1e-12)).log()).log().float()


def perplexity(shares_GV: Tensor) -> Tensor:
    """How many entries are used, as it were, over all books: the sum of the exponentials of their entropies."""
    return torch.exp(-(shares_GV * shares_GV.clamp_min(1e-9).log()).sum(-1)).sum()


def cosines(one: Tensor, other: Tensor) -> Tensor:
    """``[B, T, D]`` and ``[B, S, D]`` → ``[B, T, S]``."""
    return F.normalize(one, dim=-1) @ F.normalize(other, dim=-1).transpose(1, 2)
