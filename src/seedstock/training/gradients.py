"""One batch's gradients, the same under any split into micro-batches and among processes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from seedstock.inputs.keys import Keys
from seedstock.training.batches import Batch, split, stand_in
from seedstock.training.coupled import coupled
from seedstock.training.parallel.world import World
from seedstock.training.passing import Counts, Pass


@dataclass
class Step:
    """What a step gave, on the device, for who reads it later: means of losses and metrics, and positions seen."""

    loss: Tensor
    losses: dict[str, Tensor]
    metrics: dict[str, Tensor]
    positions: int
    passes: tuple[tuple[int, int, int], ...] = ()
    """Of each pass of the backbone for one loss, in the first micro-batch: rows, positions of a row, and of its source
    where an encoder-decoder reads one."""
    flops: float = 0.0
    """What the whole step takes, of all processes (``measure.flops_of``)."""


def accumulate(
    nets: nn.ModuleDict,
    objective: Any,
    batch: Batch,
    examples: np.ndarray,
    *,
    size: int,
    seed: int,
    world: World | None = None,
    parts: int | None = None,
    reduce: Callable[[Counts], Counts] | None = None,
    passing: Pass | None = None,
) -> Step:
    """Adds the gradients of a batch's mean loss to the parameters, ``size`` examples at a time.

    Each loss is a sum over its terms, divided by the number of terms in the whole batch, which is added up over all
    processes before anything runs backward: so neither micro-batches nor processes with fewer terms weigh more.
    ``batch`` is this process's part; ``examples`` its example numbers on the host, where keys are made. ``parts``, by
    default as many as it takes, is how many passes every process makes: who has no examples left goes along with one
    that counts nothing. ``reduce`` adds counts up, by default over the ``world``. ``passing`` is the pass over ``nets``
    that was laid out over the ``world``. Positions are this process's, all else is the whole batch's. Where the
    objective's terms couple examples, gradients are cached (``training.coupled``).
    """
    world, passing, count = world or World(), passing or Pass(nets, objective), len(examples)
    if parts is not None and count:
        size = -(-count // parts)
    ready = [
        objective.corrupt(part, Keys(seed, examples[number * size : (number + 1) * size]))
        for number, part in enumerate(split(batch, size))
    ]
    void = max(0, (parts or 0) - len(ready))
    if void:
        idle = stand_in(batch)
        idle = objective.corrupt(idle, Keys(seed, idle["examples"].cpu().numpy()))
    counts: Counts = {}
    for part in ready or [idle]:
        for name, number in objective.counts(part).items():
            number = number if ready else torch.zeros_like(number)
            counts[name] = counts[name] + number if name in counts else number
    counts = {name: number.clamp(min=1) for name, number in (reduce or world.sum)(counts).items()}
    if passing.pipeline is not None:
        blank = stand_in(batch)
        blank["documents"] = torch.full_like(blank["documents"], -1)
        blank = objective.corrupt(blank, Keys(seed, blank["examples"].cpu().numpy()))
        gave = passing.pipeline.step(passing, ready, blank, size, parts or len(ready), counts)
        means, length = world.whole(gave.losses), gave.length
        shape = (min(size, max(count, 1)), length, 0)
        total = torch.stack([*means.values()]).sum()
        return Step(total, means, world.whole(gave.metrics), count * length, (shape,))
    if objective.coupling == "batch":
        found = coupled(passing, ready, [idle] * void if void else [], counts, world)
        total = torch.stack([*found.losses.values()]).sum()
        return Step(total, found.losses, found.metrics, found.positions, found.passes)
    zero = torch.zeros((), device=batch["examples"].device)
    losses: dict[str, Tensor] = defaultdict(lambda: zero)
    metrics: dict[str, Tensor] = defaultdict(lambda: zero)
    positions, first = 0, next(iter(counts.values()))
    passes: tuple[tuple[int, int, int], ...] = ()
    for number, part in enumerate([*ready, *[idle] * void] if void else ready):
        means, seen = _go_along(passing, part, counts) if number >= len(ready) else passing(part, counts)
        sum(means.values(), start=zero).backward()
        counted = number < len(ready)
        positions, passes = positions + seen.positions * counted, passes or seen.passes
        for name, mean in means.items():
            losses[name] = losses[name] + mean.detach()
        for name, total in seen.metrics.items():
            metrics[name] = metrics[name] + total * counted / counts.get(name, first)
    if not world.alone:
        losses, metrics = world.whole(dict(losses)), world.whole(dict(metrics))
    return Step(torch.stack([*losses.values()]).sum(), dict(losses), dict(metrics), positions, passes)


def _go_along(passing: Pass, part: Batch, counts: Counts) -> tuple[dict[str, Tensor], Any]:
    """A pass whose losses are all zero, and that no expert's load or dropout takes note of."""
    training = passing.training
    passing.eval()
    means, seen = passing(part, counts)
    passing.train(training)
    return {name: mean * 0.0 for name, mean in means.items()}, seen
