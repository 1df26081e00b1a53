"""Saving a run: the checkpoint, its record in the chain, and room for the next one."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedstock.ledger import manifest
from seedstock.ledger.chain import Chain
from seedstock.ledger.ids import sha256_file
from seedstock.training import environment, rewind, state
from seedstock.training.checkpoint import folder as checkpoints
from seedstock.training.checkpoint.retention import prune
from seedstock.training.checkpoint.staged import Plan, stage
from seedstock.training.checkpoint.store import Store
from seedstock.training.optimizers import state as optimizer_state
from seedstock.training.parallel.world import World

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


@dataclass
class _Pending:
    """A checkpoint that is being written; ``stalled`` is how many seconds training stood still for it."""

    folder: Future[Path]
    step: int
    examples: int
    digest: str
    began: float
    stalled: float


class Saver:
    """Saves the run that it is called with. ``attempt`` and ``parent`` say where its state comes from.

    What is saved is copied, and with ``background`` a thread writes the copy while training goes on: one checkpoint at
    a time, on connections of its own. ``poll`` records one that is done, ``finish`` waits for it first.
    """

    def __init__(
        self,
        folder: Path,
        chain: Chain,
        attempt: int,
        parent: dict[str, Any] | None,
        damaged: frozenset[int],
        world: World,
        background: bool,
        store: Store | None = None,
    ) -> None:
        self.folder, self.chain, self.attempt, self.parent = folder, chain, attempt, parent
        self.damaged, self.world, self.background, self.store = set(damaged), world, background, store
        self.last: Path | None = None
        self._beside = world.apart()
        self._plan: Plan | None = None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: _Pending | None = None

    def __call__(self, run: Trainer) -> None:
        """Copies, and has it written, recorded, and older ones pruned; all processes call it together.

        Raises SeedstockError where the disk refused this one or, in the background, the one before; what was there is
        untouched then.
        """
        began = time.perf_counter()
        self.finish(run)
        staged = stage(state.gather(run), self.world, self._plan, copied=self.background)
        self._plan = staged.plan
        write = (self.folder, run.step, staged, self._state(run), self._beside)
        folder = self._pool.submit(checkpoints.write, *write)
        self._pending = _Pending(folder, run.step, run.examples, run.digest, began, time.perf_counter() - began)
        if not self.background:
            self.finish(run)

    def poll(self, run: Trainer) -> None:
        """Records what is written by now; waits for nothing."""
        if self._pending is not None and self._pending.folder.done() and self.world.main:
            self.finish(run)

    def finish(self, run: Trainer) -> None:
        """Waits for what is being written, and records it. Raises as the call does."""
        pending, self._pending = self._pending, None
        if pending is None:
            return
        self.last = pending.folder.result()
        if not self.world.main:
            return
        record(self.chain, run.folder, self.last, pending.step, pending.digest, pending.examples)
        self.damaged.discard(pending.step)
        stay: dict[str, Any] = {"keep": run.config.keep, "every": run.config.keep_every}
        stay |= {"milestones": run.milestones | rewind.worth_keeping(run, pending.step)}
        prune(self.folder, verified=pending.step, damaged=self.damaged, **stay)
        if self.store is not None:
            self.store.send(self.folder, stay)
        seconds, stalled = round(time.perf_counter() - pending.began, 3), round(pending.stalled, 4)
        run.reporter.event("checkpoint", step=pending.step, folder=self.last.name, seconds=seconds, stalled=stalled)

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown()
        if self.store is not None:
            self.store.close()

    def _numbers(self, run: Trainer) -> dict[str, Any]:
        own = optimizer_state.numbers(run.optimizers, run.parameters)
        if self.world.degrees.pipeline == 1:
            return own
        return {name: value for one in self.world.gather(own) for name, value in one.items()}

    def _state(self, run: Trainer) -> dict[str, Any]:
        return {
            "example": run.examples,
            "tokens": run.tokens,
            "seconds": round(run.busy, 3),
            "flops": run.flops,
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
            "layout": str(run.world.degrees),
            "versions": environment.versions(),
            "optimizer": {
                "kind": run.config.optimizer.kind,
                "numbers": self._numbers(run),
            },
            "guard": run.guard.state(),
            "callbacks": {callback.name: callback.state() for callback in run.callbacks},
        }
