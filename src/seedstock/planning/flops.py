"""Floating-point operations a token: two for each multiply-accumulate of a matrix product."""

from __future__ import annotations

from seedstock.planning.parameters import Shape, active


def forward(shape: Shape, vocab_size: int, length: float | None = None) -> float:
    """FLOPs a token of a forward pass over sequences of ``length`` tokens (the context where not given).

    2 for each parameter that is multiplied (matrices and head, of experts the chosen ones; an embedding is looked up,
    norms and softmax are left out), and 4 · layers · heads · head size · length for queries times keys and weights
    times values, over the whole square as PaLM counts it (Chowdhery et al. 2022, arXiv 2204.02311, appendix B): a
    causal kernel that skips the upper half does half of that.
    """
    parts = active(shape, vocab_size)
    multiplied = parts["attention"] + parts["mlp"] + shape.width * vocab_size
    return 2.0 * multiplied + 4.0 * shape.layers * shape.heads * shape.head_size * (length or shape.context)


def training(shape: Shape, vocab_size: int, length: float | None = None) -> float:
    """FLOPs a token of a training step: the backward pass costs twice the forward one, so 6N + 12 L H Q T.

    Recomputed activations are not counted: this is the model's work (MFU), not the hardware's (HFU).
    """
    return 3.0 * forward(shape, vocab_size, length)
