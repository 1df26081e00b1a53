"""How far a student's distributions are from a teacher's, whole or of the likeliest tokens, through a linear head.

Gradients are made on the way forward, so that no logits are kept.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def whole(hidden: Tensor, matrix: Tensor, bias: Tensor | None, theirs: Tensor, temperature: float) -> Tensor:
    """``temperature² · Σ KL(teacher ‖ student)`` over rows (Hinton et al. 2015, section 2), in fp32.

    ``hidden`` ``[N, D]`` (prepared), ``matrix`` ``[V, D]``, ``bias`` ``[V]``; ``theirs`` ``[N, V]``: the teacher's
    log-probabilities at that temperature.
    """
    return _Whole.apply(hidden, matrix, bias, theirs, temperature)


def likeliest(
    hidden: Tensor, matrix: Tensor, bias: Tensor | None, ids: Tensor, logs: Tensor, temperature: float
) -> Tensor:
    """The same over k + 1 outcomes: the teacher's k likeliest tokens ``ids`` ``[N, k]``, and any other.

    ``logs`` ``[N, k + 1]`` are the teacher's log-probabilities of these at that temperature. Outcomes that are put
    together lose what parts them: it is at most ``whole``, and equal to it where k is the vocabulary.
    """
    return _Likeliest.apply(hidden, matrix, bias, ids, logs, temperature)


class _Whole(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, matrix: Tensor, bias: Tensor | None, theirs: Tensor, temperature: float
    ) -> Tensor:
        ours = F.log_softmax(_scores(hidden, matrix, bias, temperature), -1)
        shares = theirs.exp()
        total = (shares * (theirs - ours)).sum() * temperature**2
        _keep(ctx, hidden, matrix, bias, (ours.exp() - shares) * temperature)
        return total

    @staticmethod
    def backward(ctx: Any, *ups: Tensor) -> Any:
        return (*_gradients(ctx, ups[0]), None, None)


class _Likeliest(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        matrix: Tensor,
        bias: Tensor | None,
        ids: Tensor,
        logs: Tensor,
        temperature: float,
    ) -> Tensor:
        ids, theirs = ids.long(), F.log_softmax(logs.float(), -1)  # what rounding took from the whole is given back
        scores = _scores(hidden, matrix, bias, temperature)
        others = scores.scatter(1, ids, float("-inf"))
        partition, rest = scores.logsumexp(-1, keepdim=True), others.logsumexp(-1, keepdim=True)
        ours = torch.cat([scores.gather(1, ids), rest], 1) - partition
        shares = theirs.exp()
        difference = torch.where(shares > 0, theirs - ours, 0.0)
        total = (shares * difference).sum() * temperature**2
        # Of the tokens that are put together each takes its part of what the teacher gives them all.
        part = torch.where(rest.isfinite(), (others - rest).exp(), 0.0)
        up = (scores - partition).exp() - shares[:, -1:] * part
        up.scatter_add_(1, ids, -shares[:, :-1])
        _keep(ctx, hidden, matrix, bias, up * temperature)
        return total

    @staticmethod
    def backward(ctx: Any, *ups: Tensor) -> Any:
        return (*_gradients(ctx, ups[0]), None, None, None)


def _scores(hidden: Tensor, matrix: Tensor, bias: Tensor | None, temperature: float) -> Tensor:
    logits = (hidden @ matrix.to(hidden.dtype).t()).float()
    return (logits if bias is None else logits + bias) / temperature


def _keep(ctx: Any, hidden: Tensor, matrix: Tensor, bias: Tensor | None, up: Tensor) -> None:
    """``up`` ``[N, V]`` is the gradient by the logits."""
    narrow = up.to(hidden.dtype)
    d_bias = None if bias is None else up.sum(0)
    ctx.save_for_backward(narrow @ matrix.to(hidden.dtype), (narrow.t() @ hidden).to(matrix.dtype), d_bias)


def _gradients(ctx: Any, up: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    d_hidden, d_matrix, d_bias = ctx.saved_tensors
    return d_hidden * up.to(d_hidden.dtype), d_matrix * up, None if d_bias is None else d_bias * up
