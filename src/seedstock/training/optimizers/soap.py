"""SOAP (Vyas et al. 2024, arXiv 2409.11321, algorithm 3): Adam in the eigenbasis of Shampoo's factors.

Of a matrix [m, n] with gradient G the factors are averages of G Gᵀ [m, m] and GᵀG [n, n]. Their eigenvectors turn
gradients and momentum into a basis in which Adam's second moments are kept, and turn the update back. The first bases
are exact; later ones follow by one step of orthogonal iteration (algorithm 4), sorted by their eigenvalues, which the
second moments follow. The first step makes the bases and moves nothing, and no gradient is turned by a basis that it is
part of already: in its own eigenbasis most of a gradient is rounding, which Adam would blow up to a whole step.

Where parameters lie on several processes each matrix has one that works on it and alone has its state; what is cut
twice (``shard`` with ``tensor``), and copies of the model, are worked on by everybody who has a part.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from seedstock.training.configs.optimizers import SoapConfig
from seedstock.training.norm import local
from seedstock.training.optimizers import adamw
from seedstock.training.optimizers.groups import Parameters, grouped, hidden_matrices
from seedstock.training.optimizers.stepped import Stepped
from seedstock.training.optimizers.whole import laid, through

LEARNING_RATE = 3e-3
TIE = 1e-6


def build(config: SoapConfig, parameters: Parameters, roles: dict[str, str]) -> list[Optimizer]:
    """SOAP over the hidden matrices, and AdamW over the rest."""
    hidden, rest = hidden_matrices(parameters, roles)
    optimizers: list[Optimizer] = []
    if hidden:
        rate = LEARNING_RATE if config.learning_rate is None else config.learning_rate
        options: dict[str, Any] = {"betas": config.betas, "eps": config.eps, "frequency": config.frequency}
        optimizers.append(Soap(grouped(hidden, config, rate), lr=rate, largest=config.largest, **options))
    return [*optimizers, adamw.build(config.rest, rest)] if rest else optimizers


class Soap(Stepped):
    """The optimizer: every parameter is a matrix, or a stack of them.

    The state of ``[…, m, n]`` is ``moments`` ``[2, …, m, n]``, the gradient's average and the turned gradient's
    squares, and ``left`` ``[2, …, m, m]`` and ``right`` ``[2, …, n, n]``, a factor and its basis each.
    """

    def __init__(
        self,
        parameters: Any,
        *,
        lr: float,
        betas: tuple[float, float] = (0.95, 0.95),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        frequency: int = 10,
        largest: int = 8192,
    ) -> None:
        options = {"betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(parameters, {"lr": lr, "frequency": frequency, "largest": largest} | options)

    def _step(self, group: dict[str, Any], parameters: list[Any]) -> None:
        own: set[int] = set()

        def work(numbers: list[int], gradients: list[Tensor]) -> list[Tensor]:
            own.update(numbers)
            return [
                self._direction(self.state[parameters[number]], gradient, group)
                for number, gradient in zip(numbers, gradients, strict=True)
            ]

        if hasattr(parameters[0], "placements"):
            given = laid(parameters, [local(p.grad) for p in parameters])
            directions = through(given, work, torch.float32, apart=False)
            for number, p in enumerate(parameters):
                if number not in own:  # a checkpoint of another layout gave it, and it is another process's now
                    self.state.pop(p, None)
        else:
            directions = work([*range(len(parameters))], [p.grad for p in parameters])
        weights = [local(p) for p in parameters]
        torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(weights, directions, alpha=-group["lr"])

    @staticmethod
    def _direction(state: dict[str, Tensor], gradient: Tensor, group: dict[str, Any]) -> Tensor:
        if not state:
            state["step"] = torch.zeros(())
            state["moments"] = gradient.new_zeros(2, *gradient.shape)
            for side, size in (("left", gradient.shape[-2]), ("right", gradient.shape[-1])):
                if size <= group["largest"]:
                    state[side] = gradient.new_zeros(2, *gradient.shape[:-2], size, size)
        sides = [side for side in ("left", "right") if side in state]
        state["step"] += 1
        step, (first, second) = int(state["step"]), group["betas"]
        if sides and step == 1:
            for side in sides:
                state[side][0].lerp_(_outer(gradient, side), 1 - second)
                state[side][1].copy_(_basis(_outer(gradient.double(), side)))
            return torch.zeros_like(gradient)
        step -= bool(sides)
        average, squares = state["moments"]
        average.lerp_(gradient, 1 - first)
        squares.lerp_(_turned(gradient, state).square_(), 1 - second)
        scale = squares.div(1 - second**step).sqrt_().add_(group["eps"]).mul_(1 - first**step)
        direction = _turned(_turned(average, state).div_(scale), state, back=True)
        for side in sides:
            state[side][0].lerp_(_outer(gradient, side), 1 - second)
            if step % group["frequency"] == 0:
                _renew(state[side], squares, side)
        return direction


def _outer(gradient: Tensor, side: str) -> Tensor:
    return gradient @ gradient.mT if side == "left" else gradient.mT @ gradient


def _basis(factor: Tensor) -> Tensor:
    """The eigenvectors ``[…, n, n]`` of a factor in fp64, the largest first.

    One gradient rarely has full rank, and where eigenvalues are zero any basis will do. Which one must not hang on
    rounding, or a run would differ from itself on other processes: a falling diagonal, a millionth of what is there,
    decides.
    """
    scale = factor.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None]
    fall = torch.linspace(1, 0, factor.shape[-1], dtype=factor.dtype, device=factor.device).diag()
    return torch.linalg.eigh(factor + TIE * scale * fall).eigenvectors.flip(-1)


def _turned(x: Tensor, state: dict[str, Tensor], *, back: bool = False) -> Tensor:
    """``x`` in the bases of its two sides, or back out of them: a tensor of its own."""
    found = x
    if "left" in state:
        found = (state["left"][1] if back else state["left"][1].mT) @ found
    if "right" in state:
        found = found @ (state["right"][1].mT if back else state["right"][1])
    return found.clone() if found is x else found


def _renew(pair: Tensor, squares: Tensor, side: str) -> None:
    """One step of orthogonal iteration on a basis, in place; the squares go along with its new order."""
    factor, basis = pair
    image = factor @ basis
    order = (basis * image).sum(-2).argsort(dim=-1, descending=True, stable=True)
    basis.copy_(torch.linalg.qr(image.gather(-1, order[..., None, :].expand_as(image))).Q)
    along = order[..., :, None] if side == "left" else order[..., None, :]
    squares.copy_(squares.gather(-2 if side == "left" else -1, along.expand_as(squares)))
