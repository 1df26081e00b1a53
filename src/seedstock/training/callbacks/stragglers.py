"""Which of several processes holds the others up: all of them wait for the slowest at every exchange."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist

from seedstock.training import measure
from seedstock.training.callbacks.base import Callback

if TYPE_CHECKING:
    from seedstock.training.readings import Reading
    from seedstock.training.trainer import Trainer

EVERY, FIRST = 100, 10
BEHIND = 1.3
"""From how many times the middle one's time on a process is named."""
PIECE = {"cpu": 256, "cuda": 4096}
"""Rows of the matrices of the probe."""
COLUMNS = ("seconds", "waited", "own", "probe")


class Stragglers(Callback):
    """Writes the event ``stragglers`` at step 10 and every hundredth, where several processes run.

    For each process, by rank: ``seconds`` a step took it; ``waited`` for its batch out of them; ``own`` the processor
    time that it used (waiting for others uses none); ``probe`` the time of one matrix product that all of them do at
    once. Steps end together, so that ``seconds`` hardly differ: ``slowest`` is the process whose probe, or whose data,
    is furthest behind the middle one, ``behind`` how many times, and ``by`` which. One that is ``BEHIND`` is said.
    """

    name = "stragglers"
    everywhere = True

    def __init__(self, every: int = EVERY, first: int = FIRST) -> None:
        self.every, self.first = every, first
        self._begin()

    def _begin(self) -> None:
        self._steps, self._seconds, self._waited, self._own = 0, 0.0, 0.0, time.process_time()

    def start(self, run: Trainer) -> None:
        """From here on times count."""
        self._begin()

    def rewound(self, run: Trainer) -> None:
        """What was counted belongs to steps that are undone."""
        self._begin()

    def read(self, run: Trainer, readings: list[Reading]) -> None:
        """Adds up this process's times."""
        self._steps += len(readings)
        self._seconds += sum(reading.seconds for reading in readings)
        self._waited += sum(reading.waited for reading in readings)

    def after_step(self, run: Trainer) -> None:
        """Gathers what is due; every process comes to it at the same step."""
        if run.world.size < 2 or (run.step != self.first and run.step % self.every):
            return
        each = max(1, self._steps)
        own = (time.process_time() - self._own) / each
        row = torch.tensor([self._seconds / each, self._waited / each, own, probe(run.device)], dtype=torch.float64)
        rows = [torch.zeros_like(row) for _ in range(run.world.size)]
        dist.all_gather(*((rows, row) if run.device.type == "cpu" else _on(run.device, rows, row)))
        self._begin()
        if run.world.main:
            found = report([one.tolist() for one in rows])
            run.reporter.event("stragglers", step=run.step, **found)
            if found["behind"] >= BEHIND:
                what = {"probe": "computes", "waited": "gets its data"}[found["by"]]
                told = f"process {found['slowest']} of {len(rows)} {what} {found['behind']:.1f} times as slowly"
                run.reporter.say(f"   {told} as the middle one: the others wait for it at every step")


def _on(device: torch.device, rows: list[torch.Tensor], row: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
    rows[:] = [one.to(device) for one in rows]
    return rows, row.to(device)


def probe(device: torch.device) -> float:
    """Seconds of one matrix product in fp32, the fastest of five."""
    rows = PIECE.get(device.type, 1024)
    a, fastest = torch.ones(rows, rows, device=device), float("inf")
    for _ in range(5):
        began = time.perf_counter()
        torch.mm(a, a)
        measure.wait(device)
        fastest = min(fastest, time.perf_counter() - began)
    return fastest


def report(rows: list[list[float]]) -> dict[str, Any]:
    """The event, from each process's ``COLUMNS``."""
    by_name = {name: [round(row[i], 6) for row in rows] for i, name in enumerate(COLUMNS)}
    worst = (1.0, 0, "probe")
    for name in ("probe", "waited"):
        values = by_name[name]
        middle = sorted(values)[(len(values) - 1) // 2]
        slow = max(range(len(values)), key=lambda rank: values[rank])
        # Waits that are nothing beside the step hold nobody up, however much longer one is than another.
        counts = name == "probe" or values[slow] > 0.05 * by_name["seconds"][slow]
        if counts and values[slow] > worst[0] * max(middle, 1e-9):
            worst = (values[slow] / max(middle, 1e-9), slow, name)
    return {**by_name, "slowest": worst[1], "behind": round(worst[0], 2), "by": worst[2]}
