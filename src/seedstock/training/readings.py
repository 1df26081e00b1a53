"""Losses and norms stay on the device until they are read, several steps at once."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

import torch
from torch import Tensor

from seedstock.training.gradients import Step


@dataclass(frozen=True)
class Reading:
    """What one step was: ``step`` counts the steps done, ``examples`` and ``tokens`` since the run began.

    ``tokens`` are positions that went through the backbone; ``seconds`` is the step's share of the time between two
    readings, without validation, samples and checkpoints; ``waited`` for the batch, out of them.
    """

    step: int
    examples: int
    tokens: int
    loss: float
    grad_norm: float
    learning_rate: float
    seconds: float
    waited: float
    step_tokens: int
    losses: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    skipped: bool = False
    """Whether the guard withheld the update."""
    flops: float = 0.0
    """What the step took, as the model's work."""
    bounds: tuple[float, float] = (math.inf, math.inf)
    """Beyond which loss and gradient norm it does so, besides what is not finite."""


@dataclass
class _Kept:
    step: int
    examples: int
    tokens: int
    learning_rate: float
    waited: float
    values: Step
    norm: Tensor
    verdict: Tensor


class Readings:
    """Collects steps and reads them back together: one wait for the device every ``every`` steps."""

    def __init__(self, every: int) -> None:
        self.every = every
        self._kept: list[_Kept] = []
        self._seconds, self._began = 0.0, 0.0

    def add(
        self,
        step: int,
        examples: int,
        tokens: int,
        rate: float,
        waited: float,
        values: Step,
        norm: Tensor,
        verdict: Tensor,
    ) -> None:
        """Keeps what a step gave, on the device; ``verdict`` is the guard's."""
        self._kept.append(_Kept(step, examples, tokens, rate, waited, values, norm, verdict))

    def forget(self) -> None:
        """Drops what was not read: those steps are undone."""
        self._kept, self._seconds = [], 0.0

    def resume(self) -> None:
        """The clock runs from now on."""
        self._began = time.perf_counter()

    def pause(self) -> None:
        """The clock stands still until ``resume``: what comes now is not training."""
        now = time.perf_counter()
        self._seconds, self._began = self._seconds + now - self._began, now

    @property
    def due(self) -> bool:
        """Whether it is time to read."""
        return len(self._kept) >= self.every

    def read(self) -> list[Reading]:
        """Every step kept since the last reading, oldest first; the clock must run."""
        if not self._kept:
            return []
        scalars = [
            torch.stack([k.values.loss, k.norm, *k.verdict, *k.values.losses.values(), *k.values.metrics.values()])
            for k in self._kept
        ]
        rows = torch.stack(scalars).tolist()
        self.pause()
        share, found = self._seconds / len(self._kept), []
        for k, row in zip(self._kept, rows, strict=True):
            loss, norm, skipped, *rest = row
            bounds, rest = (rest[0], rest[1]), rest[2:]
            losses = dict(zip(k.values.losses, rest, strict=False))
            metrics = dict(zip(k.values.metrics, rest[len(losses) :], strict=True))
            seen = k.values.positions
            counted = (k.step, k.examples, k.tokens, loss, norm, k.learning_rate, share, k.waited, seen)
            found.append(Reading(*counted, losses, metrics, bool(skipped), k.values.flops, bounds))
        self._kept, self._seconds = [], 0.0
        return found
