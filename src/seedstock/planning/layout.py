"""Which layout over devices a model should be given, and what would fit where it does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from seedstock.errors import RecipeError
from seedstock.planning.memory import ROOM, Use, largest, memory, peak
from seedstock.planning.parameters import Shape

NODE = 8
"""Devices that are joined by fast links: where matrices may be cut, and where parts are gathered from."""
ENOUGH = 2048
"""Tokens that keep a device busy: a layout with room for fewer at once gives way to one that cuts more up."""
FARTHEST = 4096
"""Devices up to which a layout that would fit is looked for."""


@dataclass(frozen=True)
class Layout:
    """Degrees of ``training.parallel`` and what one device holds under them."""

    data: int
    shard: int
    tensor: int
    use: Use
    bytes: int

    @property
    def devices(self) -> int:
        """All of them."""
        return self.data * self.shard * self.tensor

    def __str__(self) -> str:
        named = (("data", self.data), ("shard", self.shard), ("tensor", self.tensor))
        return " × ".join(f"{name} {degree}" for name, degree in named if degree > 1) or "one device"

    def written(self) -> dict[str, int]:
        """As ``training.parallel`` and ``training.micro_batch`` take it: only what is not their default."""
        degrees = {"data": self.data, "shard": self.shard, "tensor": self.tensor}
        return {name: degree for name, degree in degrees.items() if degree > 1}


def recommend(
    shape: Shape, vocab_size: int, use: Use, *, devices: int, memory_bytes: float, examples: int
) -> Layout | None:
    """The layout with the least traffic among those that fit ``memory_bytes`` a device, or None.

    Copies first (DDP), then weights and optimizer cut up within a node and copied over nodes (HSDP), over all (FSDP),
    then matrices cut as well. The first with room for ``ENOUGH`` tokens, or for a device's whole share of the batch of
    ``examples``, is taken; else the one with the most room.
    """
    best: tuple[int, Layout] | None = None
    for data, shard, tensor in _candidates(shape, devices, examples):
        found = under(shape, vocab_size, use, data, shard, tensor, memory_bytes=memory_bytes, examples=examples)
        if found is None:
            continue
        size = found.use.micro_batch
        if found.use.passes == 1 or size * shape.context >= ENOUGH:
            return found
        if best is None or size > best[0]:
            best = size, found
    return best and best[1]


def under(
    shape: Shape, vocab_size: int, use: Use, data: int, shard: int, tensor: int, *, memory_bytes: float, examples: int
) -> Layout | None:
    """A layout of these degrees with the largest micro-batches of one size that fit; None where none does."""
    share = -(-examples // (data * shard))
    one = replace(use, shards=shard, tensor=tensor)
    size = largest(shape, vocab_size, one, ROOM * memory_bytes, share)
    if not size:
        return None
    passes = -(-share // size)
    one = replace(one, micro_batch=-(-share // passes), passes=passes)
    return Layout(data, shard, tensor, one, peak(memory(shape, vocab_size, one), one))


def _candidates(shape: Shape, devices: int, examples: int) -> Iterator[tuple[int, int, int]]:
    if devices <= examples:
        yield devices, 1, 1
        inside = next((size for size in range(min(NODE, devices), 1, -1) if devices % size == 0), 1)
        if 1 < inside < devices:
            yield devices // inside, inside, 1
        if devices > 1:
            yield 1, devices, 1
    if shape.beside or shape.walked:
        return
    for tensor in (2, 4, 8):
        whole = all(size % tensor == 0 for size in (shape.heads, shape.kv_heads, shape.mlp_width))
        rest = devices // tensor
        if whole and devices % tensor == 0 and rest <= examples:
            yield 1, rest, tensor


def what_would_fit(shape: Shape, vocab_size: int, use: Use, *, memory_bytes: float, examples: int) -> str:
    """How many devices of this memory it would take, or how much memory one example takes on one, in words."""
    alone = replace(use, micro_batch=1, passes=1, shards=1, tensor=1)
    needs = peak(memory(shape, vocab_size, alone), alone) / ROOM
    found = f"one example on one device takes {needs / 2**30:.3g} GiB"
    again = replace(alone, recompute="full")
    if use.recompute != "full" and (less := peak(memory(shape, vocab_size, again), again) / ROOM) < 0.9 * needs:
        found += f" ({less / 2**30:.3g} GiB with training.recompute=full)"
    for how in dict.fromkeys((use.recompute, "full")):
        devices, kept = 2, replace(use, recompute=how)
        while devices <= FARTHEST:
            layout = recommend(
                shape, vocab_size, kept, devices=devices, memory_bytes=memory_bytes, examples=max(examples, devices)
            )
            if layout is not None:
                more = "" if how == use.recompute else f", training.recompute={how}"
                return f"{found}; {devices} devices of {memory_bytes / 2**30:.3g} GiB would do ({layout}{more})"
            devices *= 2
    return f"{found}; no layout of up to {FARTHEST} devices of {memory_bytes / 2**30:.3g} GiB holds it"


def require(
    shape: Shape, vocab_size: int, use: Use, *, memory_bytes: float, examples: int, where: str = "training"
) -> None:
    """Raises RecipeError where even one example at once does not fit; says what would.

    The estimate may be a tenth off for one stack of layers, and more for what is none: only what is well beyond the
    memory is refused.
    """
    odd = shape.beside or shape.walked or shape.front or shape.cross or shape.patch or shape.sampled
    one = replace(use, micro_batch=1) if not use.micro_batch else use
    needs = peak(memory(shape, vocab_size, one), one)
    if needs <= memory_bytes * (1.5 if odd else 1.1):
        return
    at_once = f"{one.micro_batch} example{'s' * (one.micro_batch != 1)} at once"
    fitting = largest(shape, vocab_size, use, ROOM * memory_bytes, max(1, one.micro_batch))
    if fitting:
        fix = f"set training.micro_batch={fitting}, or leave it out to have it measured"
    else:
        fix = what_would_fit(shape, vocab_size, use, memory_bytes=memory_bytes, examples=examples)
        fix += ". Take a smaller model or context, or more devices (`seedstock plan RECIPE --devices N`)"
    raise RecipeError(
        f"too little memory: {at_once} take about {needs / 2**30:.3g} GiB on each device, which has "
        f"{memory_bytes / 2**30:.3g} GiB",
        where=where,
        fix=fix,
    )
