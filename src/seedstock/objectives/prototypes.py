"""A head of prototypes, and the centre that keeps a teacher from saying one thing of all (Caron et al. 2021)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seedstock.models.initialise import fill
from seedstock.models.keys import key64
from seedstock.objectives.projection import Projector


class Prototypes(nn.Module):
    """A projector to a bottleneck, normalised, and the cosines to prototypes; ``blank`` stands for hidden patches."""

    def __init__(self, width: int, hidden: int, bottleneck: int, prototypes: int, patch: int, seed: int) -> None:
        super().__init__()
        self.projector = Projector(width, hidden, bottleneck, seed, "prototypes")
        self.directions = nn.Parameter(torch.empty(prototypes, bottleneck))
        self.blank = nn.Parameter(torch.zeros(patch))
        with torch.no_grad():
            fill(self.directions, 1.0, key64("prototypes", seed), "directions")

    def forward(self, x: Tensor) -> Tensor:
        """``[…, width]`` → fp32 ``[…, prototypes]``."""
        found = F.normalize(self.projector(x), dim=-1)
        return F.linear(found, F.normalize(self.directions, dim=-1))

    def roles(self) -> dict[str, str]:
        """The prototypes are as an output matrix is."""
        inner = {f"projector.{name}": role for name, role in self.projector.roles().items()}
        return {**inner, "directions": "head", "blank": "vector"}


class Centre(nn.Module):
    """A running mean of what a teacher says, which is taken off before the softmax."""

    value: Tensor
    noted: Tensor
    count: Tensor

    def __init__(self, prototypes: int, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("value", torch.zeros(prototypes))
        self.register_buffer("noted", torch.zeros(prototypes))
        self.register_buffer("count", torch.zeros(()))

    def shares(self, logits: Tensor, temperature: float) -> Tensor:
        """The teacher's shares, centred and sharpened."""
        return ((logits - self.value) / temperature).softmax(-1)

    @torch.no_grad()
    def note(self, logits: Tensor, count: Tensor) -> None:
        """Takes rows ``[N, prototypes]``, or their sums over ``count`` rows, into the next mean, while training."""
        if self.training:
            self.noted += logits.detach().sum(0)
            self.count += count

    @torch.no_grad()
    def move(self) -> None:
        """After a step."""
        if self.count > 0:
            self.value.lerp_(self.noted / self.count, 1 - self.momentum)
        self.noted.zero_()
        self.count.zero_()


@torch.no_grad()
def sinkhorn(logits: Tensor, temperature: float, there: Tensor, rounds: int = 3) -> Tensor:
    """A teacher's shares ``[B, crops, K]`` by which, over the batch, every prototype gets about as much as any other:
    exp(logits / temperature), its columns and its rows brought to one sum each in turn (Caron et al. 2020, arXiv
    2006.09882, section 3.1). Pictures that are not ``there`` ``[B]`` count nothing."""
    rows = (logits.float() / temperature).flatten(0, 1)
    counted = there | ~there.any()  # of a batch that was erased as a whole nothing is asked, and nothing is NaN
    weight = torch.zeros_like(rows[:, :1]).masked_fill(~counted.repeat_interleave(logits.shape[1])[:, None], -torch.inf)
    for _ in range(rounds):
        rows = rows - (rows + weight).logsumexp(0, keepdim=True)
        rows = rows - rows.logsumexp(1, keepdim=True)
    return rows.exp().unflatten(0, logits.shape[:2])


def koleo(x: Tensor) -> Tensor:
    """Minus the sum of the logarithms of how far each feature is from its nearest (Sablayrolles et al. 2019)."""
    if len(x) < 2:
        return x.sum() * 0.0
    with torch.no_grad():
        nearest = (x @ x.T).fill_diagonal_(-2.0).argmax(1)
    return -((x - x[nearest]).norm(dim=-1) + 1e-8).log().sum()
