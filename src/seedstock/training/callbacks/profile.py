"""A profile of a few steps: where the time of a step goes, and on a GPU the memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from seedstock.ledger.files import plain_errors, write_text
from seedstock.training.callbacks.base import Callback

if TYPE_CHECKING:
    from seedstock.training.trainer import Trainer

FOLDER = "profile"
ROWS = 40


class Profile(Callback):
    """Profiles ``steps`` steps of this attempt, after ``warm`` ones, into the run's ``profile/``.

    ``trace-STEP-RANK.json.gz`` opens in Perfetto or chrome://tracing, ``operators-STEP-RANK.txt`` is a table of the
    operators by their own time, and on CUDA ``memory-STEP-RANK.pickle`` opens at pytorch.org/memory_viz (it is written
    for that page: nothing here reads it). Every process writes its own. Weights do not change by it; times do.
    """

    name = "profile"
    everywhere = True

    def __init__(self, warm: int = 5, steps: int = 3) -> None:
        self.warm, self.steps = warm, steps
        self._profiler: Any = None
        self._first = 0

    def start(self, run: Trainer) -> None:
        """Settles which steps they are: fewer where the run is shorter."""
        self._first = min(run.step + self.warm, max(run.step, run.steps - self.steps))
        if self._first == run.step:
            self._begin(run)

    def after_step(self, run: Trainer) -> None:
        """Begins and ends the profile at its steps."""
        if self._profiler is not None and run.step >= min(self._first + self.steps, run.steps):
            self._end(run)
        elif self._profiler is None and run.step == self._first:
            self._begin(run)

    def finish(self, run: Trainer) -> None:
        """Ends a profile that is still running."""
        if self._profiler is not None:
            self._end(run)

    def _begin(self, run: Trainer) -> None:
        kinds = [torch.profiler.ProfilerActivity.CPU]
        if run.device.type == "cuda":
            kinds.append(torch.profiler.ProfilerActivity.CUDA)
            torch.cuda.memory._record_memory_history(max_entries=200_000)
        self._profiler = torch.profiler.profile(activities=kinds, record_shapes=True)
        self._profiler.__enter__()

    def _end(self, run: Trainer) -> None:
        profiler, self._profiler, self._first = self._profiler, None, -1
        profiler.__exit__(None, None, None)
        folder: Path = run.folder / FOLDER
        name = f"{run.step}-{run.world.rank}"
        with plain_errors(folder):
            folder.mkdir(exist_ok=True)
            profiler.export_chrome_trace(str(folder / f"trace-{name}.json.gz"))
            if run.device.type == "cuda":
                torch.cuda.memory._dump_snapshot(str(folder / f"memory-{name}.pickle"))
                torch.cuda.memory._record_memory_history(enabled=None)
        order = "self_cuda_time_total" if run.device.type == "cuda" else "self_cpu_time_total"
        table = profiler.key_averages().table(sort_by=order, row_limit=ROWS)
        write_text(folder / f"operators-{name}.txt", table + "\n")
        run.reporter.event("profile", step=run.step, folder=FOLDER)
        run.reporter.say(f"the profile of steps up to {run.step:,} is in {folder}")
