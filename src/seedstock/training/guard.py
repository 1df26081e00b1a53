"""The stability guard: keeps a harmful update from the weights, on the device, and says when a run must go back.

A step is judged by its own loss and gradient norm, before the optimizers use them. On a CPU the answer is read at once;
on other devices it stays there as a number that the update is withheld by, and the host hears of it with the readings.
Both give the same bits. What the ladder does (skip, rewind, stop) is a function of which steps were skipped alone, so
that a run that was stopped and resumed takes the same way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from seedstock.training.configs.guard import GuardConfig
from seedstock.training.norm import local
from seedstock.training.parallel.world import World
from seedstock.training.readings import Reading

FLOOR = 0.01
"""The least standard deviation that is believed, as a share of the mean: where nothing varied, little is no spike."""

Held = bool | Tensor
"""Whether an update is withheld: known on the host, or on the device alone (0-d bool)."""


@dataclass(frozen=True)
class Trouble:
    """The ladder's next rung is due: ``reading`` is the last of the skipped steps, ``first`` the first of them.

    Without ``first`` the run must stop.
    """

    reading: Reading
    first: int | None = None


class Guard:
    """Judges steps and counts the skipped ones. ``passed`` are ranges of steps [first, last] that are left out."""

    def __init__(
        self, config: GuardConfig | Literal["stop"], nets: nn.ModuleDict, world: World, device: torch.device
    ) -> None:
        self.config = None if config == "stop" else config
        self.world, self.device = world, device
        self.at_once = device.type == "cpu"
        self.skips: list[int] = []
        self.passed: list[tuple[int, int]] = []
        self._window = self._count = torch.zeros((), device=device)
        if self.config and self.config.sigmas:
            self._window = torch.zeros(2, self.config.window, device=device)
        self._buffers = [
            (module, name)
            for module in nets.modules()
            for name in module._buffers.keys() - module._non_persistent_buffers_set
            if module._buffers[name] is not None
        ]

    def passes_over(self, step: int) -> bool:
        """Whether step ``step`` (from 1) is not to be trained on."""
        return any(first <= step <= last for first, last in self.passed)

    def keep(self) -> list[Tensor]:
        """Copies of the buffers that are part of a checkpoint, which a forward pass may change."""
        if self.config is None:
            return []
        return [local(module._buffers[name]).detach().clone() for module, name in self._buffers]  # type: ignore[arg-type]

    @torch.no_grad()
    def put_back(self, kept: Sequence[Tensor], held: Held) -> None:
        """The buffers as they were, where the update was withheld."""
        if held is False:
            return
        for (module, name), before in zip(self._buffers, kept, strict=bool(kept)) if kept else ():
            now = local(module._buffers[name])  # type: ignore[arg-type]
            now.copy_(before if held is True else torch.where(held, before, now))

    @torch.no_grad()
    def judge(self, loss: Tensor, norm: Tensor) -> tuple[Held, Tensor]:
        """Whether the update is withheld, and for the readings ``[3]``: that, the bound on the loss, and on the norm.

        The same on every process: one that withholds is enough. Waits for no device.
        """
        limits = self._limits()
        if self.config is None:
            return False, torch.cat([limits.new_zeros(1), limits])
        seen = torch.stack([loss.detach().float(), norm.detach().float()])
        bad = self.world.everywhere((~(seen.isfinite() & (seen <= limits)).all()).float()) > 0
        if self._window.ndim:
            moved = torch.cat([self._window[:, 1:], seen[:, None]], dim=1)
            self._window = torch.where(bad, self._window, moved)
            self._count = self._count + (~bad).float()
        return bool(bad) if self.at_once else bad, torch.cat([bad.float()[None], limits])

    def _limits(self) -> Tensor:
        if not self._window.ndim or self.config is None or self.config.sigmas is None:
            return torch.full((2,), math.inf, device=self.device)
        spread, mean = torch.std_mean(self._window, dim=1)
        limits = mean + self.config.sigmas * torch.maximum(spread, FLOOR * mean.abs())
        return torch.where(self._count >= self._window.shape[1], limits, math.inf)

    def hear(self, found: list[Reading]) -> tuple[list[Reading], list[Reading], Trouble | None]:
        """The good steps of these readings, the skipped ones, and what there is to do; steps after that are undone."""
        good: list[Reading] = []
        skipped: list[Reading] = []
        for reading in found:
            if not reading.skipped:
                if self.config is None and not math.isfinite(reading.loss + reading.grad_norm):
                    return good, skipped, Trouble(reading)
                good.append(reading)
                continue
            assert self.config is not None
            skipped.append(reading)
            self.skips = [one for one in self.skips if one > reading.step - self.config.window] + [reading.step]
            if len(self.skips) >= self.config.skips:
                return good, skipped, Trouble(reading, self.skips[0])
        return good, skipped, None

    def state(self) -> dict[str, Any]:
        """What a resume goes on from, as JSON."""
        found: dict[str, Any] = {"skips": self.skips, "passed": [[*one] for one in self.passed]}
        if self._window.ndim:
            found |= {"window": self._window.tolist(), "count": int(self._count)}
        return found

    def restore(self, state: dict[str, Any]) -> None:
        """Takes back what ``state`` gave; ranges that are known already stay."""
        self.skips = list(state.get("skips", []))
        self.passed = sorted({*self.passed, *((first, last) for first, last in state.get("passed", []))})
        if self._window.ndim and "window" in state:
            self._window = torch.tensor(state["window"], device=self.device)
            self._count = torch.tensor(float(state["count"]), device=self.device)
