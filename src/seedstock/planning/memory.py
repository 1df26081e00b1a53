"""How much memory training takes on one device, by part, estimated before it starts."""

from __future__ import annotations

from dataclasses import replace

from seedstock.planning import convolutions
from seedstock.planning.parameters import Shape, before, dense, parameters

STATES = {"adamw": 2, "muon": 1}
"""fp32 numbers of optimizer state for a hidden matrix: Adam keeps two moments, Muon one."""
SCORES = 2
"""Copies of a score that are kept where attention is not fused."""


def memory(
    shape: Shape,
    vocab_size: int,
    micro_batch: int,
    *,
    optimizer: str = "adamw",
    precision: str = "bf16",
    ema: bool = False,
) -> dict[str, int]:
    """Bytes by part for ``micro_batch`` examples of the context's length at once; an estimate.

    Master weights, gradients and optimizer state are fp32. Activations are what eager autograd keeps for the backward
    pass, counted as Korthikanti et al. 2022 (arXiv 2205.05198, section 4) count it, without attention weights, which
    fused attention recomputes: an fp32 copy of what each norm reads, and in the precision of matrix products the norms'
    outputs, queries, keys, values, the attention's output, and the MLP's
    inner values (four widths of a gated MLP, three else). Logits are kept in that precision, in fp32, and as gradient.
    """
    if shape.beside:
        how = {"optimizer": optimizer, "precision": precision, "ema": ema}
        alone = [memory(one, vocab_size, micro_batch, **how) for one in (replace(shape, beside=()), *shape.beside)]  # type: ignore[arg-type]
        return {name: sum(one[name] for one in alone) for name in alone[0]} | {"logits": 0}
    parts = parameters(shape, vocab_size)
    count = sum(parts.values())
    hidden = parts["attention"] + parts["mlp"] + (0 if shape.walked else dense(shape))
    states = STATES.get(optimizer, 2) * hidden + 2 * (count - hidden)
    number = 2 if precision == "bf16" else 4
    if shape.walked:
        kept = micro_batch * convolutions.activations(shape.walked, number)
        return _together(count, number, states, ema) | {"activations": kept, "logits": 0}
    tokens = micro_batch * shape.context
    queries, keys = shape.heads * shape.head_size, shape.kv_heads * shape.head_size
    in_norms = 4 * (2 * shape.width + (queries + keys if shape.qk_norm else 0))
    width = shape.mlp_width
    if shape.experts:  # each chosen expert has its own copy of the token as well
        width = shape.experts_per_token * (shape.expert_width or width) + shape.shared_expert
    inner = (4 if shape.gated else 3) * width + 2 * shape.experts_per_token * shape.width
    each = number * (shape.width + 2 * queries + 2 * keys)  # an attention: what its norm gives, q, k, v, what it finds
    a_layer = in_norms + each + number * (shape.width + inner)
    across = 4 * shape.width + each
    if shape.buckets:
        # Positions that are learned numbers on scores: no fused kernel gives their gradient, so shares are kept.
        a_layer += SCORES * number * shape.heads * shape.context
    layers = sum(layers for layers, _ in shape.stacks)
    kept = layers * a_layer + sum(layers for layers, cross in shape.stacks if cross) * across
    if shape.patch or (shape.front and not shape.cross):
        vocab_size = 0
    return _together(count, number, states, ema) | {
        # Before a stack over sounds, what each layer gives is kept before and after its activation.
        "activations": tokens * kept
        + micro_batch * (shape.source and shape.source - shape.context) * shape.layers * a_layer
        + round(2 * number * micro_batch * before(shape, 3)),
        "logits": tokens
        * (
            2 * shape.context
            if shape.sampled
            else 0
            if shape.patch or (shape.front and not shape.cross)
            else vocab_size
        )
        * (number + 4 + 4),
    }


def _together(count: int, number: int, states: int, ema: bool) -> dict[str, int]:
    return {
        "weights": 4 * count + (number * count if number == 2 else 0),
        "gradients": 4 * count,
        "optimizer": 4 * states,
        "average": 4 * count if ema else 0,
    }
