"""Cross-entropy through a linear head, never holding the logits of all rows at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_LOGITS = 2**23  # logits held in the head's precision at once: 16 MiB in bf16
_BLOCK = 2**19  # of them in fp32 at once: 2 MiB, which a core's cache holds


def linear_cross_entropy(hidden: Tensor, weight: Tensor, targets: Tensor, z_loss: float = 0.0) -> tuple[Tensor, Tensor]:
    """Sum of cross-entropies, and each row's own, detached, in fp32.

    ``hidden`` ``[N, D]``, ``weight`` ``[V, D]`` (fp32; the product is in the dtype of ``hidden``, softmax and sums in
    fp32), ``targets`` ``[N]``; rows whose target is negative count nothing. ``z_loss`` adds its multiple of the squared
    log-partition to the sum (Chowdhery et al. 2022, section 5), not to the rows. Gradients are made on the way forward,
    while a block of logits is at hand, and kept instead of the logits (the order of Liger kernels, Hsu et al. 2024).
    """
    wanted = torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad)
    return _LinearCrossEntropy.apply(hidden, weight, targets, z_loss, wanted)


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, z_loss: float, wanted: bool
    ) -> tuple[Tensor, Tensor]:
        N, V = len(hidden), len(weight)
        matrix = weight.to(hidden.dtype)
        rows, block = _chunks(N, V, hidden.device)
        nats = torch.empty(N, dtype=torch.float32, device=hidden.device)
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        d_hidden = torch.empty_like(hidden) if wanted else None
        d_weight = torch.zeros_like(weight) if wanted else None
        for low in range(0, N, rows):
            part = slice(low, min(low + rows, N))
            logits = hidden[part] @ matrix.t()
            for start in range(0, len(logits), block):
                inner = slice(start, start + block)
                where = slice(low + start, min(low + start + block, part.stop))
                nats[where] = _turn(logits[inner], targets[where], z_loss, wanted, total)
            if d_hidden is not None and d_weight is not None:
                torch.mm(logits, matrix, out=d_hidden[part])
                d_weight += logits.t() @ hidden[part]
        ctx.save_for_backward(d_hidden, d_weight)
        ctx.mark_non_differentiable(nats)
        return total, nats

    @staticmethod
    def backward(ctx: Any, d_total: Tensor, _: Tensor) -> Any:
        d_hidden, d_weight = ctx.saved_tensors
        return d_hidden * d_total.to(d_hidden.dtype), d_weight * d_total, None, None, None


def _turn(logits: Tensor, targets: Tensor, z_loss: float, wanted: bool, total: Tensor) -> Tensor:
    """Each row's nats; adds to ``total``; where gradients are wanted, leaves them in the place of the logits."""
    scores = logits.float()
    held = targets >= 0
    column = targets.clamp_min(0)[:, None]
    if wanted:
        shares = torch.softmax(scores, -1)
        # The largest share never underflows, so that the log-partition is exact however unlikely the target.
        log_partition = scores.amax(-1) - shares.amax(-1).log()
    else:
        log_partition = torch.logsumexp(scores, -1)
    nats = (log_partition - scores.gather(1, column).squeeze(1)) * held
    total += nats.sum()
    if z_loss:
        total += z_loss * (log_partition.square() * held).sum()
    if wanted:
        if z_loss:
            shares *= (1 + 2 * z_loss * log_partition)[:, None]
        shares.scatter_add_(1, column, torch.full_like(column, -1, dtype=torch.float32))
        if logits.device.type != "cpu" or not bool(held.all()):
            shares *= held[:, None]
        logits.copy_(shares)
    return nats


def _chunks(rows: int, vocabulary: int, device: torch.device) -> tuple[int, int]:
    """Rows of logits at once, and rows in fp32 at once: on a CPU small enough for its caches."""
    if device.type != "cpu":
        chunk = max(1024, 2**27 // vocabulary)
        return chunk, chunk
    return max(64, _LOGITS // vocabulary), max(16, _BLOCK // vocabulary)
