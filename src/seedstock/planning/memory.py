"""How much memory training takes on one device, by part, estimated before it starts."""

from __future__ import annotations

from dataclasses import dataclass, replace

from seedstock.planning import convolutions
from seedstock.planning.parameters import Shape, before, dense, parameters

STATES = {"adamw": 2, "muon": 1}
"""fp32 numbers of optimizer state for a hidden matrix: Adam keeps two moments, Muon one."""
SCORES = 2
"""Copies of a score that are kept where attention is not fused."""
WRITTEN_OUT = 512
"""Positions up to which bf16 attention on a CPU writes its weights out and keeps them (``models.products``)."""
ROOM = 0.92
"""The share of a device's memory that a plan fills: the rest is the driver's, the allocator's and the estimate's."""
CHUNK = 2**27
"""Logits that a GPU holds at once (``objectives.cross_entropy``); on a CPU few enough to leave out."""


@dataclass(frozen=True)
class Use:
    """How a model is trained, as far as memory depends on it.

    ``micro_batch`` examples of the context's length at once, ``passes`` of them a step; ``device`` is ``cpu`` or
    ``gpu``, whose kernels keep different things. ``shards`` is how many devices weights, gradients and optimizer state
    are cut up among, ``tensor`` among how many each matrix is cut.
    """

    micro_batch: int
    passes: int = 1
    optimizer: str = "adamw"
    precision: str = "bf16"
    ema: bool = False
    device: str = "gpu"
    shards: int = 1
    tensor: int = 1

    @property
    def number(self) -> int:
        """Bytes of a number in matrix products."""
        return 2 if self.precision == "bf16" else 4


def memory(shape: Shape, vocab_size: int, use: Use) -> dict[str, int]:
    """Bytes by part on the fullest device; an estimate (``docs/benchmarks.md`` says how good). ``peak`` adds them up.

    Master weights, gradients and optimizer state are fp32. ``copies`` are weights as products take them: joined
    (queries, keys and values; gate and up) and in bf16. ``activations`` are what eager autograd keeps for the backward
    pass, as Korthikanti et al. 2022 (arXiv 2205.05198, section 4) count it, without attention weights where attention
    is fused. ``head`` is what the loss holds when the backward pass begins: the gradients of hidden states and of the
    output matrix (made on the way forward, so that logits are not kept) and one more copy of each; ``scratch`` what the
    optimizer needs beside its state.
    """
    if shape.beside:
        alone = [memory(one, vocab_size, use) for one in (replace(shape, beside=()), *shape.beside)]
        return {name: sum(one[name] for one in alone) for name in alone[0]} | {"head": 0}
    parts = parameters(shape, vocab_size)
    count, cut = sum(parts.values()), use.tensor
    hidden = parts["attention"] + parts["mlp"] + (0 if shape.walked else dense(shape))
    states = STATES.get(use.optimizer, 2) * hidden + 2 * (count - hidden)
    held = use.shards * cut
    found = {
        "weights": 4 * count // held,
        "gradients": 4 * count // held,
        "optimizer": 4 * states // held,
        "average": 4 * count // held if use.ema else 0,
    }
    if shape.walked:
        kept = use.micro_batch * convolutions.activations(shape.walked, use.number)
        return found | {"copies": use.number * count, "activations": kept, "head": 0, "scratch": 0}
    headless = shape.patch or (shape.front and not shape.cross)
    tokens = use.micro_batch * shape.context
    return found | {
        "copies": _copies(shape, use, parts),
        "activations": _kept(shape, use),
        "head": 0 if headless else _head(shape, vocab_size, use, tokens),
        "scratch": _scratch(shape, use, hidden),
    }


def peak(parts: dict[str, int], use: Use) -> int:
    """The most that is there at once: at the start of a backward pass, or when the optimizer steps.

    In a step of one pass there are no gradients yet when most activations are there, and none of these when all
    gradients are.
    """
    still = parts["weights"] + parts["optimizer"] + parts["average"]
    passing = parts["copies"] + parts["activations"] + parts["head"]
    stepping = parts["gradients"] + parts["scratch"]
    return still + max(passing + (parts["gradients"] if use.passes > 1 else 0), stepping)


def largest(shape: Shape, vocab_size: int, use: Use, room: float, most: int) -> int:
    """The largest micro-batch up to ``most`` examples with which a step stays within ``room`` bytes; 0: not one."""

    def fits(size: int) -> bool:
        one = replace(use, micro_batch=size, passes=max(use.passes, -(-most // size)))
        return peak(memory(shape, vocab_size, one), one) <= room

    low, high = 0, most
    while low < high:  # more examples never take less, but for the last step from two passes to one
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return most if low < most and fits(most) else low


def _copies(s: Shape, use: Use, parts: dict[str, int]) -> int:
    """Joined matrices are new ones in any precision; the others only where they are cast."""
    joined = s.width * (s.heads + 2 * s.kv_heads) * s.head_size * sum(layers for layers, _ in s.stacks)
    others = parts["attention"] + parts["mlp"] - joined
    if s.gated:
        joined_mlp = parts["mlp"] * 2 // 3
        joined, others = joined + joined_mlp, others - joined_mlp
    copied = use.number * joined + (2 * others if use.number == 2 else 0)
    if use.shards > 1:  # gathered for the whole step: what lies outside of blocks
        copied += (4 if use.number == 4 else 6) * (parts["embedding"] + parts["head"]) + 4 * _block(s) * 2
    return copied // use.tensor


def _block(s: Shape) -> int:
    parts = parameters(s, 0)
    return (parts["attention"] + parts["mlp"]) // max(1, sum(layers for layers, _ in s.stacks))


def _kept(s: Shape, use: Use) -> int:
    """Bytes of activations of a micro-batch."""
    number, tokens = use.number, use.micro_batch * s.context
    queries, keys = s.heads * s.head_size, s.kv_heads * s.head_size
    # What a norm reads: on a CPU RMS norm keeps it as it is, elsewhere an fp32 copy is kept.
    read = number if use.device == "cpu" and not s.layer_norm else 4
    each = _attention(s, use, queries, keys, read)
    width = s.mlp_width
    if s.experts:  # each chosen expert has its own copy of the token as well
        width = s.experts_per_token * (s.expert_width or width) + s.shared_expert
    inner = (4 if s.gated else 2) * width + 2 * s.experts_per_token * s.width
    norms, outputs = 2 * read * s.width, 2 * number * s.width
    taps = 2 * number * (s.taps + 1) * s.width if s.taps else 0
    parts = number * inner + each
    a_layer = (norms + outputs + taps + parts) // use.tensor  # with the stream cut along positions too
    across = ((read + number) * s.width + each) // use.tensor
    layers = sum(layers for layers, _ in s.stacks)
    kept = tokens * (layers * a_layer + sum(layers for layers, cross in s.stacks if cross) * across)
    kept += tokens * (read + number) * s.width  # the last norm
    more = use.micro_batch * (s.source and s.source - s.context) * s.layers * a_layer
    # Before a stack over sounds, what each layer gives is kept before and after its activation.
    return kept + more + round(2 * number * use.micro_batch * before(s, 3))


def _attention(s: Shape, use: Use, queries: int, keys: int, read: int) -> int:
    """Bytes a token of one attention: from the product with its matrices to what it hands on."""
    number, both = use.number, queries + keys
    joined = number * (both + keys)
    normed = read * both if s.qk_norm and use.device != "cpu" else 0
    turned = number * both if not s.learned_positions else 0
    if s.buckets:
        # Positions that are learned numbers on scores: no fused kernel gives their gradient, so shares are kept.
        return joined + number * queries + SCORES * number * s.heads * s.context
    if use.device == "cpu" and number == 2 and s.context <= WRITTEN_OUT:
        held = joined if s.qk_norm else 0
        return held + number * (both + keys) + number * queries + number * s.heads * s.context
    # A mask over documents makes the CPU's kernel, and fp32 ones, keep a copy of it in numbers, and one of the outcome.
    masked = number * (s.context + queries) if use.device == "cpu" or number == 4 or s.sight else 0
    return joined + normed + turned + number * queries + 4 * s.heads + masked


def _head(s: Shape, vocab_size: int, use: Use, tokens: int) -> int:
    """At the start of the backward pass: gradients of hidden states and matrix, each twice."""
    rows = 2 * s.context if s.sampled else 0
    if rows:
        return tokens * rows * (use.number + 4 + 4)
    chunk = min(CHUNK, tokens * vocab_size) * (use.number + 8) if use.device == "gpu" else 0
    kept = use.number * tokens * s.width + 4 * vocab_size * s.width
    return kept + max(kept, chunk)


def _scratch(s: Shape, use: Use, hidden: int) -> int:
    """Muon's directions are a copy of the gradients, and matrices of one shape are iterated together on a GPU."""
    if use.optimizer != "muon":
        return 0
    alike = s.layers * s.width * s.mlp_width * (2 if s.gated else 1)
    return 4 * hidden // (use.shards * use.tensor) + (3 * 2 * alike if use.device == "gpu" else 0)
