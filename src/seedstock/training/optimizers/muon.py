"""Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon): orthogonalized momentum for hidden matrices.

The same maths as ``torch.optim.Muon``, with two things that it has no option for. The Newton-Schulz iteration runs in
bf16 where the machine multiplies bf16 quickly and in fp32 where it does not: torch's is bf16 always, which is many
times slower than fp32 on a CPU without bf16 instructions. And small matrices of one shape are iterated together.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from seedstock.errors import RecipeError
from seedstock.training.configs.optimizers import MuonConfig
from seedstock.training.norm import local
from seedstock.training.optimizers import adamw
from seedstock.training.optimizers.groups import Parameters, grouped, hidden_matrices
from seedstock.training.optimizers.stepped import Stepped
from seedstock.training.optimizers.whole import laid, through

LEARNING_RATE = {"original": 0.02, "match_rms_adamw": 3e-3}
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
EPS = 1e-7
# Elements of a stack on a CPU: beyond it the stack leaves the cache, and matrices one by one are faster.
STACK = 1 << 19


def build(config: MuonConfig, parameters: Parameters, roles: dict[str, str]) -> list[Optimizer]:
    """Muon over the hidden matrices, and AdamW over the rest. Raises RecipeError where rows do not divide."""
    known = {name: "column" if config.every and parameters[name].ndim == 2 else role for name, role in roles.items()}
    hidden, rest = hidden_matrices(parameters, known)
    optimizers: list[Optimizer] = []
    if hidden:
        rate = LEARNING_RATE[config.adjust] if config.learning_rate is None else config.learning_rate
        optimizers.append(
            Muon(
                _groups(hidden, config, rate),
                lr=rate,
                momentum=config.momentum,
                nesterov=config.nesterov,
                iterations=config.iterations,
                adjust=config.adjust,
                dtype=torch.float32 if config.precision == "fp32" else torch.bfloat16,
            )
        )
    return [*optimizers, adamw.build(config.rest, rest)] if rest else optimizers


def _groups(hidden: Parameters, config: MuonConfig, rate: float) -> list[dict[str, Any]]:
    """Those of ``grouped``, for each number of pieces by itself; the highest rate first."""
    cut: dict[int, Parameters] = {}
    for name, parameter in hidden.items():
        pieces = next((count for pattern, count in config.pieces.items() if fnmatchcase(name, pattern)), 1)
        rows = parameter.shape[-2]
        if rows % pieces or (pieces > 1 and parameter.ndim == 3):
            what = f"the {rows} rows of {name} are not {pieces} equal matrices"
            raise RecipeError(
                what, where="training.optimizer.pieces", fix="give the number of heads, of attention alone"
            )
        cut.setdefault(pieces, {})[name] = parameter
    found = [group | {"pieces": pieces} for pieces, own in cut.items() for group in grouped(own, config, rate)]
    return sorted(found, key=lambda group: -group["lr"])


class Muon(Stepped):
    """The optimizer: every parameter is a matrix, or a stack of them; the state is one momentum buffer each."""

    def __init__(
        self,
        parameters: Any,
        *,
        lr: float,
        momentum: float = 0.95,
        nesterov: bool = True,
        weight_decay: float = 0.0,
        iterations: int = 5,
        adjust: str = "original",
        dtype: torch.dtype = torch.bfloat16,
    ) -> None:
        options: dict[str, Any] = {"momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay}
        options |= {"iterations": iterations, "adjust": adjust, "dtype": dtype, "pieces": 1}
        super().__init__(parameters, {"lr": lr} | options)
        # As torch's own optimizers say it: where ``found_inf`` (0-d) is 1, a step leaves everything as it was.
        self._step_supports_amp_scaling = True

    def _step(self, group: dict[str, Any], parameters: list[Any]) -> None:
        for p in parameters:
            if "momentum_buffer" not in self.state[p]:
                self.state[p]["momentum_buffer"] = torch.zeros_like(p)
        gradients = [local(p.grad) for p in parameters]
        buffers = [local(self.state[p]["momentum_buffer"]) for p in parameters]
        found = getattr(self, "found_inf", None)
        if found is not None:  # the buffer in the gradient's place moves nothing, and is finite
            gradients = [torch.where(found > 0, b, g) for b, g in zip(buffers, gradients, strict=True)]
        torch._foreach_lerp_(buffers, gradients, 1 - group["momentum"])
        directions = list(torch._foreach_lerp(gradients, buffers, group["momentum"])) if group["nesterov"] else buffers
        if group["weight_decay"]:
            decay = 1 - group["lr"] * group["weight_decay"]
            kept = decay if found is None else torch.where(found > 0, 1.0, torch.full_like(found, decay))
            torch._foreach_mul_([local(p) for p in parameters], kept)
        rate = -group["lr"]

        def taken(update: Tensor) -> Tensor:
            return update if found is None else update.masked_fill(found > 0, 0.0)

        if hasattr(parameters[0], "placements"):
            for p, update in zip(parameters, _parts(parameters, directions, group), strict=True):
                shape = torch.Size((p.shape[-2] // group["pieces"], p.shape[-1]))
                local(p).add_(taken(update), alpha=rate * adjustment(group["adjust"], shape))
            return
        matrices = apart(parameters, group["pieces"])
        for i, update in updates(apart(directions, group["pieces"]), group["iterations"], group["dtype"]):
            matrices[i].add_(taken(update), alpha=rate * adjustment(group["adjust"], matrices[i].shape))


def updates(matrices: list[Tensor], iterations: int, dtype: torch.dtype) -> Iterator[tuple[int, Tensor]]:
    """Each matrix orthogonalized in ``dtype``, with its number, in any order."""
    for indices in stacks(matrices):
        stack = torch.stack([upright(matrices[i]).to(dtype) for i in indices])
        for i, update in zip(indices, orthogonalize(stack, iterations), strict=True):
            rows, columns = matrices[i].shape
            yield i, update.T if rows > columns else update


def _parts(parameters: list[Any], directions: list[Tensor], group: dict[str, Any]) -> list[Tensor]:
    """This process's parts of the orthogonalized directions of parameters that are DTensors."""

    def work(_: list[int], whole: list[Tensor]) -> list[Tensor]:
        pieces = group["pieces"]
        found = dict(updates(apart(whole, pieces), group["iterations"], group["dtype"]))
        flat = iter(found[i] for i in range(len(found)))
        counts = [len(one) if one.ndim == 3 else pieces for one in whole]
        return [torch.cat([next(flat) for _ in range(n)]).view_as(one) for n, one in zip(counts, whole, strict=True)]

    return through(laid(parameters, directions), work, group["dtype"])


def apart(tensors: list[Tensor], pieces: int = 1) -> list[Tensor]:
    """Matrices: those of experts, which lie stacked, one by one, and of others equal ``pieces`` of the rows; views."""
    return [one for tensor in tensors for one in (tensor.unbind() if tensor.ndim == 3 else tensor.chunk(pieces))]


def adjustment(kind: str, shape: torch.Size) -> float:
    """The factor on the rate for a matrix of this shape."""
    rows, columns = shape
    return math.sqrt(max(1, rows / columns)) if kind == "original" else 0.2 * math.sqrt(max(rows, columns))


def upright(matrix: Tensor) -> Tensor:
    """The matrix or its transpose, whichever has no more rows than columns: the Gram matrix is the smaller one."""
    return matrix.T if matrix.shape[0] > matrix.shape[1] else matrix


def stacks(matrices: list[Tensor]) -> Iterator[list[int]]:
    """The numbers of matrices to iterate together: of one shape, turned upright, and on a CPU small together."""
    shapes: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for i, matrix in enumerate(matrices):
        shapes[tuple(sorted(matrix.shape))].append(i)
    for (rows, columns), indices in shapes.items():
        size = max(1, STACK // (rows * columns)) if matrices[indices[0]].device.type == "cpu" else len(indices)
        for start in range(0, len(indices), size):
            yield indices[start : start + size]


def orthogonalize(x: Tensor, iterations: int) -> Tensor:
    """Newton-Schulz iteration on a stack of matrices [n, rows, columns], rows <= columns.

    Drives the singular values to about one (between 0.7 and 1.2) by an odd quintic polynomial whose slope at zero is
    as steep as it can be; the singular vectors stay.
    """
    a, b, c = COEFFICIENTS
    x = x / x.flatten(1).norm(dim=1).clamp(min=EPS)[:, None, None]
    if len(x) == 1:
        return _orthogonalize_one(x[0], iterations)[None]
    for _ in range(iterations):
        gram = torch.bmm(x, x.mT)
        polynomial = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.baddbmm(x, polynomial, x, beta=a)
    return x


def _orthogonalize_one(x: Tensor, iterations: int) -> Tensor:
    # A batched product of one matrix is slower than a plain one on CPUs.
    a, b, c = COEFFICIENTS
    for _ in range(iterations):
        gram = x @ x.T
        polynomial = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.addmm(x, polynomial, x, beta=a)
    return x
