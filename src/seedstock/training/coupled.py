"""Gradients of losses that compare the examples of a batch with each other, in pieces: cached gradients.

Gao et al. 2021 (arXiv 2101.06983, section 3): first every micro-batch is represented without gradients; the loss over
all representations, of all processes, is differentiated by them; then each micro-batch is represented again and its
part of that gradient goes backward. What comes out is the gradient of the unsplit batch, whatever the pieces. Nothing
that is drawn may change between the two passes, which holds since draws are keyed by example.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seedstock.training.batches import Batch
from seedstock.training.parallel.world import World
from seedstock.training.passing import Pass

Represented = dict[str, Tensor]


@dataclass
class Coupled:
    """What a batch gave: means of its losses and metrics, and what the backbone saw of this process's part."""

    losses: dict[str, Tensor]
    metrics: dict[str, Tensor]
    positions: int
    passes: tuple[tuple[int, int, int], ...]


def coupled(
    passing: Pass, parts: Sequence[Batch], idle: Sequence[Batch], counts: dict[str, Tensor], world: World
) -> Coupled:
    """Adds the gradients of a batch's mean loss to the parameters.

    ``parts`` are this process's micro-batches, ``idle`` those with which it goes along while others have more, and
    which count nothing. Losses and metrics are those of the whole batch on every process.
    """
    if len(parts) == 1 and not idle and world.parts == 1:
        found, seen = passing.represent(parts[0])
        losses, metrics = passing.couple(found, counts)
        torch.stack([*losses.values()]).sum().backward()
        return Coupled(_detached(losses), metrics, seen.positions, seen.passes)
    with torch.no_grad():
        first = [passing.represent(part) for part in parts]
        for part in idle:
            passing.represent(part)
    own = {name: torch.cat([found[name] for found, _ in first]) for name in first[0][0]} if first else {}
    everybody, place = _gathered(own, passing, idle, world)
    leaves = {name: one.requires_grad_() for name, one in everybody.items() if one.is_floating_point()}
    losses, metrics = passing.couple(everybody, counts)
    # Every process works the whole loss out: parameters inside of it get one share each, which are added up.
    (torch.stack([*losses.values()]).sum() / world.parts).backward()
    wanted = {name: leaf.grad[place] * world.parts for name, leaf in leaves.items() if leaf.grad is not None}
    begin = 0
    for part in parts:
        found, _ = passing.represent(part)
        rows = slice(begin, begin := begin + len(part["examples"]))
        names = [name for name in wanted if found[name].requires_grad]
        torch.autograd.backward([found[name] for name in names], [wanted[name][rows] for name in names])
    for part in idle:
        found, _ = passing.represent(part)
        sum((one.sum() for one in found.values() if one.requires_grad), start=torch.zeros(())).mul(0.0).backward()
    positions = sum(seen.positions for _, seen in first)
    return Coupled(_detached(losses), metrics, positions, first[0][1].passes if first else ())


def _detached(losses: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in losses.items()}


def _gathered(own: Represented, passing: Pass, idle: Sequence[Batch], world: World) -> tuple[Represented, slice]:
    """The representations of all processes' parts, one part after another, and where this process's are."""
    count = len(next(iter(own.values()))) if own else 0
    if world.parts == 1:
        return {name: one.detach().clone() for name, one in own.items()}, slice(0, count)
    sizes = world.total(*(count if part == world.part else 0 for part in range(world.parts)))
    begin, total = sum(sizes[: world.part]), sum(sizes)
    if not own:  # whoever has no examples needs to know what others' representations look like
        with torch.no_grad():
            own = {name: one[:0] for name, one in passing.represent(idle[0])[0].items()}
    place, found = slice(begin, begin + count), {}
    for name, one in own.items():
        whole = torch.zeros(total, *one.shape[1:], dtype=torch.float64, device=one.device)
        whole[place] = one.detach().double()
        found[name] = world.add(whole).to(one.dtype)
    return found, place
