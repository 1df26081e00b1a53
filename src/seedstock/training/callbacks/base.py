"""What a callback is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seedstock.training.readings import Reading
    from seedstock.training.trainer import Trainer


class Callback:
    """Derive from it and override what is needed; packages of their own register a configuration that builds one.

    A callback may read everything of the ``run`` and change nothing that the bits of the weights depend on.
    ``state()`` is JSON, kept in checkpoints under ``name`` and handed to ``restore`` when a run is resumed.
    """

    name = "callback"
    everywhere = False
    """Whether every process calls it, and all do the same: what runs the network must."""

    def start(self, run: Trainer) -> None:
        """Before the first step of this attempt, after ``restore``."""

    def after_step(self, run: Trainer) -> None:
        """After every step, before its checkpoint. Reading a tensor here makes a GPU wait."""

    def read(self, run: Trainer, readings: list[Reading]) -> None:
        """Losses and norms of the steps since the last call, oldest first, without those that the guard skipped."""

    def rewound(self, run: Trainer) -> None:
        """After the guard took the run back to a checkpoint, and ``restore``: ``run.step`` is smaller than it was."""

    def finish(self, run: Trainer) -> None:
        """At the end of the attempt, whatever ended it."""

    def state(self) -> dict[str, Any]:
        """What must outlive the process."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Takes back what ``state`` gave."""
