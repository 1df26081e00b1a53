"""One batch's gradients, the same under any split into micro-batches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from seedstock.errors import RecipeError
from seedstock.inputs.keys import Keys
from seedstock.training.batches import Batch, split

Counts = dict[str, Tensor]


@dataclass
class Step:
    """What a step gave, on the device, for who reads it later: means of losses and metrics, and positions seen."""

    loss: Tensor
    losses: dict[str, Tensor]
    metrics: dict[str, Tensor]
    positions: int
    sources: int = 0
    """Positions of sources, which an encoder-decoder reads besides."""


def accumulate(
    nets: nn.ModuleDict,
    objective: Any,
    batch: Batch,
    examples: np.ndarray,
    *,
    size: int,
    seed: int,
    reduce: Callable[[Counts], Counts] = lambda counts: counts,
) -> Step:
    """Adds the gradients of a batch's mean loss to the parameters, ``size`` examples at a time.

    Each loss is a sum over its terms, divided by the number of terms in the whole batch, which ``reduce`` adds up
    over all ranks before anything runs backward: so neither micro-batches nor ranks with fewer terms weigh more.
    ``examples`` are the batch's example numbers on the host, where keys are made.
    Raises RecipeError where the objective's terms couple examples and the batch is to be split.
    """
    if objective.coupling == "batch" and size < len(examples):
        raise RecipeError(
            f"{type(objective).__name__} compares examples of a batch with each other, which micro-batches would part",
            where="training.micro_batch",
            fix="leave micro_batch out, or make the batch smaller",
        )
    parts = [
        objective.corrupt(part, Keys(seed, examples[number * size : (number + 1) * size]))
        for number, part in enumerate(split(batch, size))
    ]
    counts: Counts = {}
    for part in parts:
        for name, count in objective.counts(part).items():
            counts[name] = counts[name] + count if name in counts else count
    counts = {name: count.clamp(min=1) for name, count in reduce(counts).items()}
    zero = torch.zeros((), device=batch["examples"].device)
    losses: dict[str, Tensor] = defaultdict(lambda: zero)
    metrics: dict[str, Tensor] = defaultdict(lambda: zero)
    network: Any = nets["network"]
    positions, sources, first = 0, 0, next(iter(counts.values()))
    for part in parts:
        given = objective.inputs(nets, part)
        passes = given if isinstance(given, list) else [given]
        positions += sum(one["x"].shape[:2].numel() for one in passes)
        sources += sum(one["cross"].x.shape[:2].numel() for one in passes if one.get("cross") is not None)
        outputs = [network.backbone(**one) for one in passes]
        sums, extra = objective.loss(nets, outputs if isinstance(given, list) else outputs[0], part)
        means = {name: total / counts[name] for name, total in sums.items()}
        sum(means.values(), start=zero).backward()
        for name, mean in means.items():
            losses[name] = losses[name] + mean.detach()
        for name, total in extra.items():
            metrics[name] = metrics[name] + total / counts.get(name, first)
    return Step(torch.stack([*losses.values()]).sum(), dict(losses), dict(metrics), positions, sources)
