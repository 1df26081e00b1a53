"""How much memory training takes on one device, by part, estimated before it starts."""

from __future__ import annotations

from dataclasses import dataclass, replace

from seedstock.planning import convolutions
from seedstock.planning.parameters import Shape, before, dense, parameters

SCORES = 2
"""Copies of a score that are kept where attention is not fused."""
WRITTEN_OUT = 512
"""Positions up to which bf16 attention on a CPU writes its weights out and keeps them (``models.products``)."""
ROOM = 0.92
"""The share of a device's memory that a plan fills: the rest is the driver's, the allocator's and the estimate's."""
LARGEST = 8192
"""Sides of matrices beyond which SOAP keeps no factor."""
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
    recompute: str = "none"
    """What of a block is worked out again for its gradients (``training.recompute``)."""

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
    output matrix (made on the way forward, so that logits are not kept) and one more copy of each; ``scratch`` what is
    there beside all gradients, at the end of the backward pass or as the optimizer steps.
    """
    if shape.beside:
        alone = [memory(one, vocab_size, use) for one in (replace(shape, beside=()), *shape.beside)]
        return {name: sum(one[name] for one in alone) for name in alone[0]} | {"head": 0}
    parts = parameters(shape, vocab_size)
    count, cut = sum(parts.values()), use.tensor
    hidden = parts["attention"] + parts["mlp"] + (0 if shape.walked else dense(shape))
    states = _states(shape, use.optimizer, count, hidden)
    held = use.shards * cut
    found = {
        "weights": 4 * count // held,
        "gradients": 4 * count // held,
        "optimizer": 4 * states // held,
        "average": 4 * count // held if use.ema else 0,
    }
    if shape.walked:
        kept = use.micro_batch * convolutions.activations(shape.walked, use.number)
        copies = 2 * count if use.number == 2 else 0
        return found | {"copies": copies, "activations": kept, "head": 0, "scratch": 0}
    headless = shape.patch or (shape.front and not shape.cross)
    tokens = use.micro_batch * shape.context
    return found | {
        "copies": _copies(shape, use, parts),
        "activations": _kept(shape, use),
        "head": 0 if headless else _head(shape, vocab_size, use, tokens),
        "scratch": _scratch(shape, use, hidden),
    }


def _states(s: Shape, optimizer: str, count: int, hidden: int) -> int:
    """fp32 numbers of optimizer state: Adam's two moments, one of Muon (for hidden matrices) and Lion, Adafactor's rows
    and columns, SOAP's moments with two factors and their bases. Optimizers that are not known here count as Adam."""
    if optimizer == "muon":
        return hidden + 2 * (count - hidden)
    if optimizer == "lion":
        return count
    if optimizer == "adafactor":
        vectors = parameters(s, 0)["vectors"]
        return vectors + sum(times * (rows + columns) for rows, columns, times in _matrices(s))
    squares = 0
    if optimizer == "soap":
        sides = ((side, times) for rows, columns, times in _matrices(s) for side in (rows, columns))
        squares = sum(2 * times * side**2 for side, times in sides if side <= LARGEST)
    return 2 * count + squares


def _matrices(s: Shape) -> list[tuple[int, int, int]]:
    """Rows, columns and number of the hidden matrices of all layers."""
    layers, crossing = sum(layers for layers, _ in s.stacks), sum(layers for layers, cross in s.stacks if cross)
    attentions, queries, keys = layers + crossing, s.heads * s.head_size, s.kv_heads * s.head_size
    inner, many = (s.expert_width or s.mlp_width, s.experts) if s.experts else (s.mlp_width, 1)
    found = [(s.width, queries, 2 * attentions), (s.width, keys, 2 * attentions)]
    found.append((s.width, inner, (3 if s.gated else 2) * many * layers))
    return found + ([(s.width, s.shared_expert, 3 * layers)] if s.shared_expert else [])


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
    if use.recompute != "none" or use.shards > 1:  # those of the block that is at work
        copied = copied // max(1, sum(layers for layers, _ in s.stacks))
    if use.shards > 1:  # gathered for the whole step: what lies outside of blocks
        copied += (4 if use.number == 4 else 6) * (parts["embedding"] + parts["head"]) + 4 * _block(s) * 2
    return copied // use.tensor


def _block(s: Shape) -> int:
    parts = parameters(s, 0)
    return (parts["attention"] + parts["mlp"]) // max(1, sum(layers for layers, _ in s.stacks))


def _kept(s: Shape, use: Use) -> int:
    """Bytes of activations of a micro-batch."""
    number, tokens = use.number, use.micro_batch * s.context
    a_layer, across = _a_layer(s, use)
    layers, crossing = (sum(layers for layers, cross in s.stacks if cross or whole) for whole in (True, False))
    stays, once = a_layer, 0
    if use.recompute != "none":
        stays, once = number * s.width, a_layer  # a block's input, and all of the one that is at work
        if use.recompute == "selective":  # and what matrix products and attention give
            inner = _width(s) * (2 if s.gated else 1)
            stays += number * (2 * (s.heads + s.kv_heads) * s.head_size + 2 * s.width + inner) + 4 * s.heads
        stays, across = stays // use.tensor, across if use.recompute == "selective" else 0
    kept = tokens * (layers * stays + once + crossing * across + (_read(s, use) + number) * s.width)
    more = use.micro_batch * (s.source and s.source - s.context) * s.layers * stays
    # Before a stack over sounds, what each layer gives is kept before and after its activation.
    return kept + more + round(2 * number * use.micro_batch * before(s, 3))


def _read(s: Shape, use: Use) -> int:
    """Bytes of a number that a norm reads: on a CPU RMS norm keeps it as it is, elsewhere an fp32 copy is kept."""
    return use.number if use.device == "cpu" and not s.layer_norm else 4


def _width(s: Shape) -> int:
    """Of the MLP that a token goes through."""
    return s.experts_per_token * (s.expert_width or s.mlp_width) + s.shared_expert if s.experts else s.mlp_width


def _a_layer(s: Shape, use: Use) -> tuple[int, int]:
    """Bytes a token that a block keeps, and that attention to another sequence keeps besides."""
    number, read = use.number, _read(s, use)
    each = _attention(s, use, s.heads * s.head_size, s.kv_heads * s.head_size, read)
    # Each chosen expert has its own copy of the token as well.
    inner = (4 if s.gated else 2) * _width(s) + 2 * s.experts_per_token * s.width
    norms, outputs = 2 * read * s.width, 2 * number * s.width
    taps = 2 * number * (s.taps + 1) * s.width if s.taps else 0
    # With the stream between products cut along positions too, all of it is divided among the processes of ``tensor``.
    return (norms + outputs + taps + number * inner + each) // use.tensor, (
        (read + number) * s.width + each
    ) // use.tensor


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
    """What is there beside all gradients: the first block at work on its own, with half as much again for gradients of
    activations; or what Muon needs: its directions are a copy of the gradients, and matrices of one shape are iterated
    together on a GPU."""
    block = 3 * use.micro_batch * s.context * _a_layer(s, use)[0] // 2
    if use.optimizer != "muon":
        return block
    alike = s.layers * s.width * s.mlp_width * (2 if s.gated else 1)
    return max(block, 4 * hidden // (use.shards * use.tensor) + (3 * 2 * alike if use.device == "gpu" else 0))
