"""What was fed, folded into one digest over all processes."""

from __future__ import annotations

import numpy as np

from seedstock.inputs.loader import step_digest
from seedstock.training.parallel.world import World

TOGETHER = 100
"""Steps that may wait for their digests to be gathered."""


class Fed:
    """The chain of step digests; ``digest`` is its head, up to the last ``fold``.

    Steps are gathered from the processes several at once: waiting for each other costs more than the few bytes.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.digest = ""
        self._kept: list[np.ndarray] = []

    def go_on_from(self, digest: str) -> None:
        """The chain's head is ``digest``; what was not folded in is forgotten."""
        self.digest, self._kept = digest, []

    def add(self, examples: np.ndarray, digests: np.ndarray) -> None:
        """Takes in a step: its example numbers ``[B]`` and digests ``[B, 16]``, those of this process."""
        if self.world.alone:
            self.digest = step_digest(self.digest, examples, digests)
            return
        rows = np.zeros(len(examples), _ROW)
        rows["step"], rows["example"], rows["digest"] = len(self._kept), examples, digests
        self._kept.append(rows)
        if len(self._kept) >= TOGETHER:
            self.fold()

    def fold(self) -> None:
        """Brings the chain up to date; all processes call it together."""
        if not self._kept:
            return
        rows = self.world.rows(np.concatenate(self._kept))
        for step in range(len(self._kept)):
            own = rows[rows["step"] == step]
            self.digest = step_digest(self.digest, own["example"], own["digest"])
        self._kept = []


_ROW = np.dtype([("step", "<i8"), ("example", "<i8"), ("digest", "u1", 16)])
