"""Floating-point operations a token: two for each multiply-accumulate of a matrix product."""

from __future__ import annotations

from dataclasses import replace

from seedstock.planning import convolutions
from seedstock.planning.parameters import Shape, active, attention, before, dense


def forward(
    shape: Shape, vocab_size: int, length: float | None = None, *, source: float | None = None, targets: float = 1.0
) -> float:
    """FLOPs a token of a forward pass over sequences of ``length`` tokens (the context where not given).

    2 for each parameter that is multiplied (matrices and head, of experts the chosen ones; an embedding of tokens is
    looked up, norms and softmax are left out), and 4 · heads · head size · length a layer for queries times keys and
    weights times values, over the whole square as PaLM counts it (Chowdhery et al. 2022, arXiv 2204.02311, appendix B):
    a causal kernel that skips the upper half does half of that. A layer that looks near by counts what it sees.

    ``targets`` is the share of positions that the head is run on: all by convention, since configurations do not know
    what an objective skips. Of an encoder-decoder a token is one of the target, together with its share of a source of
    ``source`` tokens: by convention as long as the target. Of a sampled head each token is held against as many
    neighbours, and as many words of the noise, as its sequence is long. Of networks side by side no head is run.
    """
    s = shape
    if s.beside:  # a mean over the positions of an example, which every network reads its own of
        alone = (replace(s, beside=()), *s.beside)
        return sum(one.context * forward(one, 0) for one in alone) / sum(one.context for one in alone)
    if s.walked:
        return 2.0 * convolutions.multiplications(s.walked) / s.context
    vocab_size = 0 if s.patch or (s.front and not s.cross) else vocab_size
    length = length or s.context
    source = (s.source or length) if source is None else source
    share = source / length if s.cross else 0.0
    a_square = 4.0 * s.heads * s.head_size
    if s.sampled:
        return 2.0 * targets * s.width * 2 * length
    mlp = active(s, vocab_size)["mlp"] / sum(layers for layers, _ in s.stacks)
    head = 2.0 * targets * (s.width * vocab_size + dense(s)) + 2.0 * s.width * s.patch  # and of patches the first
    if not s.cross:
        head += 2.0 * before(s, 2)
    if s.conditioned:  # once for a sequence
        head += 2.0 * s.layers * 6 * s.width**2 / length
    near = min(length, s.sight or length)

    def stack(layers: int, seen: float) -> float:
        squares = (layers - s.local_layers) * seen + s.local_layers * near
        return layers * 2.0 * (attention(s) + mlp) + a_square * squares

    if not s.cross:
        return stack(s.layers, length) + head
    keys = 2 * s.width * s.kv_heads * s.head_size
    to_source = 2.0 * (attention(s) - keys) + share * 2.0 * keys + a_square * source
    return share * (stack(s.layers, source) + 2.0 * before(s, 2)) + stack(s.depth, length) + s.depth * to_source + head


def training(
    shape: Shape, vocab_size: int, length: float | None = None, *, source: float | None = None, targets: float = 1.0
) -> float:
    """FLOPs a token of a training step: the backward pass costs twice the forward one, so 6N + 12 L H Q T.

    Recomputed activations are not counted: this is the model's work (MFU), not the hardware's (HFU).
    """
    return 3.0 * forward(shape, vocab_size, length, source=source, targets=targets)
