"""Saving a run: the checkpoint, its record in the chain, and room for the next one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedstock.ledger import manifest
from seedstock.ledger.chain import Chain
from seedstock.ledger.ids import sha256_file
from seedstock.training import environment, state
from seedstock.training.checkpoint import folder as checkpoints
from seedstock.training.checkpoint.retention import prune
from seedstock.training.optimizers import state as optimizer_state

if TYPE_CHECKING:
    from seedstock.training.trainer import Trainer

KIND = "checkpoint"


def recorded(chain: Chain) -> dict[int, str]:
    """The manifest's SHA-256 of each step's newest checkpoint, as the chain has it."""
    return {body["step"]: body["manifest_sha256"] for body in chain.of(KIND)}


def record(chain: Chain, run_folder: Path, folder: Path, step: int, digest: str, example: int) -> None:
    """Appends a checkpoint to the chain."""
    body = {
        "folder": folder.relative_to(run_folder).as_posix(),
        "manifest_sha256": sha256_file(folder / manifest.NAME),
        "root": manifest.read(folder).root,
        "step": step,
        "digest": digest,
        "example": example,
    }
    chain.append(KIND, body)


class Saver:
    """Saves the run that it is called with. ``attempt`` and ``parent`` say where its state comes from."""

    def __init__(
        self, folder: Path, chain: Chain, attempt: int, parent: dict[str, Any] | None, damaged: frozenset[int]
    ) -> None:
        self.folder, self.chain, self.attempt, self.parent = folder, chain, attempt, parent
        self.damaged = set(damaged)
        self.last: Path | None = None

    def __call__(self, run: Trainer) -> None:
        """Writes, records, prunes. Raises SeedstockError where the disk refuses; what was there is untouched then."""
        began = time.perf_counter()
        self.last = checkpoints.save(self.folder, run.step, state.gather(run), self._state(run))
        record(self.chain, run.folder, self.last, run.step, run.digest, run.examples)
        self.damaged.discard(run.step)
        prune(
            self.folder,
            verified=run.step,
            keep=run.config.keep,
            every=run.config.keep_every,
            milestones=run.milestones,
            damaged=self.damaged,
        )
        seconds = round(time.perf_counter() - began, 3)
        run.reporter.event("checkpoint", step=run.step, folder=self.last.name, seconds=seconds)

    def _state(self, run: Trainer) -> dict[str, Any]:
        return {
            "example": run.examples,
            "tokens": run.tokens,
            "seconds": round(run.busy, 3),
            "flops_a_token": run.flops_a_token,
            "peak_flops": run.peak_flops,
            "digest": run.digest,
            "attempt": self.attempt,
            "parent": self.parent,
            "seed": run.seed,
            "identity": run.identity,
            "threads": run.config.threads,
            "precision": run.config.precision,
            "compile": run.config.compile,
            "versions": environment.versions(),
            "optimizer": {
                "kind": run.config.optimizer.kind,
                "numbers": optimizer_state.numbers(run.optimizers, run.parameters),
            },
            "callbacks": {callback.name: callback.state() for callback in run.callbacks},
        }
