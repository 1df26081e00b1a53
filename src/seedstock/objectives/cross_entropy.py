"""Cross-entropy through a linear head, never holding the logits of all rows at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_LOGITS = 2**22  # logits held in the head's precision at once: 8 MiB in bf16
_BLOCK = 2**17  # of them in fp32 at once: 512 KiB, which a core's cache holds


def linear_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    z_loss: float = 0.0,
    bias: Tensor | None = None,
    weights: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Sum of cross-entropies, and each row's own, detached, in fp32.

    ``hidden`` ``[N, D]``, ``weight`` ``[V, D]`` (fp32; the product is in the dtype of ``hidden``, softmax and sums in
    fp32), ``targets`` ``[N]``; rows whose target is negative count nothing. ``z_loss`` adds its multiple of the squared
    log-partition to the sum (Chowdhery et al. 2022, section 5), not to the rows. ``bias`` ``[V]`` is added to the
    logits; ``weights`` ``[N]`` (fp32, no gradient) multiply rows of the sum. Gradients are made on the way forward,
    while a block of logits is at hand, and kept instead of the logits (the order of Liger kernels, Hsu et al. 2024).
    """
    wanted = torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad)
    return _LinearCrossEntropy.apply(hidden, weight, bias, targets, weights, z_loss, wanted)


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        weights: Tensor | None,
        z_loss: float,
        wanted: bool,
    ) -> tuple[Tensor, Tensor]:
        N, V, device = len(hidden), len(weight), hidden.device
        rows, block = _chunks(V, device)
        matrix = weight.to(hidden.dtype)
        nats = torch.empty(N, dtype=torch.float32, device=device)
        total = torch.zeros((), dtype=torch.float32, device=device)
        d_hidden = torch.empty_like(hidden) if wanted else None
        d_weight = torch.zeros_like(weight) if wanted else None
        d_bias = torch.zeros_like(bias) if wanted and bias is not None else None
        # Room that every chunk uses again: fresh memory costs a CPU as much as the products.
        room = torch.empty(min(rows, N), V, dtype=hidden.dtype, device=device)
        scores, shares = torch.empty(2, min(block, N), V, dtype=torch.float32, device=device)
        for part in _slices(0, N, rows):
            logits = torch.mm(hidden[part], matrix.t(), out=room[: part.stop - part.start])
            for inner in _slices(part.start, part.stop, block):
                view = logits[inner.start - part.start : inner.stop - part.start]
                wide = scores[: len(view)].copy_(view)
                if bias is not None:
                    wide += bias
                scale = None if weights is None else weights[inner]
                nats[inner] = _turn(view, wide, shares[: len(view)], targets[inner], scale, z_loss, wanted, total)
            if d_hidden is not None and d_weight is not None:
                torch.mm(logits, matrix, out=d_hidden[part])
                d_weight += logits.t() @ hidden[part]
                if d_bias is not None:
                    d_bias += logits.sum(0, dtype=torch.float32)
        ctx.save_for_backward(d_hidden, d_weight, d_bias)
        ctx.mark_non_differentiable(nats)
        return total, nats

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_total: Tensor, _: Tensor) -> Any:
        d_hidden, d_weight, d_bias = ctx.saved_tensors
        d_bias = None if d_bias is None else d_bias * d_total
        return d_hidden * d_total.to(d_hidden.dtype), d_weight * d_total, d_bias, None, None, None, None


def _turn(
    logits: Tensor,
    scores: Tensor,
    room: Tensor,
    targets: Tensor,
    weights: Tensor | None,
    z_loss: float,
    wanted: bool,
    total: Tensor,
) -> Tensor:
    """Each row's nats; adds to ``total``; where gradients are wanted, leaves them in the place of the logits."""
    held = targets >= 0
    scale = held if weights is None else held * weights
    column = targets.clamp_min(0)[:, None]
    shares = torch.softmax(scores, -1, out=room)
    # The largest share never underflows, so that the log-partition is exact however unlikely the target.
    log_partition = scores.amax(-1) - shares.amax(-1).log()
    nats = (log_partition - scores.gather(1, column).squeeze(1)) * held
    total += nats.sum() if weights is None else (nats * weights).sum()
    if z_loss:
        total += z_loss * (log_partition.square() * scale).sum()
    if wanted:
        if z_loss:
            shares *= (1 + 2 * z_loss * log_partition)[:, None]
        shares.scatter_add_(1, column, torch.full_like(column, -1, dtype=torch.float32))
        if weights is not None or logits.device.type != "cpu" or not bool(held.all()):
            shares *= scale[:, None]
        logits.copy_(shares)
    return nats


def _slices(start: int, stop: int, size: int) -> Iterator[slice]:
    for low in range(start, stop, size):
        yield slice(low, min(low + size, stop))


def _chunks(vocabulary: int, device: torch.device) -> tuple[int, int]:
    """Rows of logits at once, and rows in fp32 at once: on a CPU small enough for its caches."""
    if device.type != "cpu":
        chunk = max(1024, 2**27 // vocabulary)
        return chunk, chunk
    return max(64, _LOGITS // vocabulary), max(8, _BLOCK // vocabulary)
