"""The loop: a batch by number, its gradients, a step of the optimizers; then whoever wants to know."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from seedstock.errors import Interrupted
from seedstock.inputs.keys import derive
from seedstock.progress import Reporter
from seedstock.training import batches, measure, rewind
from seedstock.training.callbacks.base import Callback
from seedstock.training.configs.training import TrainingConfig
from seedstock.training.ema import Average
from seedstock.training.fed import Fed
from seedstock.training.gradients import accumulate
from seedstock.training.guard import Guard, Held, Trouble
from seedstock.training.interrupt import Stop
from seedstock.training.norm import clip, total_norm
from seedstock.training.optimizers import withheld
from seedstock.training.optimizers.groups import build, trained
from seedstock.training.parallel.layouts import gathered
from seedstock.training.parallel.world import World
from seedstock.training.passing import Pass
from seedstock.training.readings import Reading, Readings
from seedstock.training.saving import Saver
from seedstock.training.schedule import decay_factor, factor


class Trainer:
    """One attempt at a run: its state, and the loop over its steps.

    ``passing`` is laid out over the ``world`` already; ``config`` has nothing left to measure. ``save`` writes
    checkpoints; ``milestones`` are steps that get one besides the regular ones; ``identity`` goes into each of them.
    ``documents(step)`` names what a step (from 1) reads.
    """

    def __init__(
        self,
        *,
        passing: Pass,
        world: World,
        loader: Any,
        config: TrainingConfig,
        folder: Path,
        reporter: Reporter,
        seed: int,
        callbacks: Sequence[Callback],
        save: Saver,
        sample: Callable[[nn.ModuleDict, int], str] | None = None,
        milestones: frozenset[int] = frozenset(),
        identity: str | None = None,
        documents: Callable[[int], list[str]] | None = None,
    ) -> None:
        assert config.steps is not None and config.micro_batch is not None
        self.passing, self.world, self.loader, self.config = passing, world, loader, config
        self.nets, self.objective = passing.nets, passing.objective
        self.folder, self.reporter, self.seed, self.sample = folder, reporter, seed, sample
        self.callbacks = [callback for callback in callbacks if world.main or callback.everywhere]
        self.saver, self.milestones = save, milestones
        self.identity, self.documents = identity, documents
        self.network: nn.Module = self.nets["network"]
        self.steps, self.micro_batch = config.steps, config.micro_batch
        self.parameters, roles = trained(self.nets)
        model = getattr(self.network, "config", None)
        self.device = next(iter(self.parameters.values())).device
        self.optimizers: list[torch.optim.Optimizer] = build(config, self.parameters, roles, model)
        self.peaks = [[_peaks(group) for group in optimizer.param_groups] for optimizer in self.optimizers]
        self.average = Average(self.parameters, config.ema) if config.ema else None
        self.step = self.examples = self.tokens = 0
        self.fed = Fed(world)
        self.flops = self.peak_flops = 0.0
        self._plan = getattr(loader, "plan", None)
        self._flops_of = lru_cache(maxsize=64)(partial(measure.flops_of, self.network))
        self.readings = Readings(1 if self.device.type == "cpu" else 10)
        self.guard = Guard(config.guard, self.nets, world, self.device)
        self.losses: dict[int, float] = {}
        self.busy = self._waited = 0.0
        self.stop = Stop()

    def run(self) -> None:
        """Trains from where the state stands to the last step.

        Raises Interrupted, with the state saved, when asked to stop; SeedstockError, with nothing saved, where a loss
        or a gradient is not finite and the guard knows no way on.
        """
        self.nets.train()
        with self.stop:
            try:
                for callback in self.callbacks:
                    callback.start(self)
                while self.step < self.steps:
                    try:
                        self._loop()
                    except _Back as back:
                        rewind.meet(self, back.trouble)
            finally:
                for callback in self.callbacks:
                    callback.finish(self)
            if asked := self._asked():  # during the last step, or since
                raise Interrupted(
                    f"{asked}; training is finished and saved, evaluation comes next",
                    where=self.folder,
                    fix=f"go on with: seedstock resume {self.folder.name}",
                )

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """The network as it would be used: evaluation mode, no gradients, averaged weights where there are any.

        All processes enter it together, and do the same inside.
        """
        self.nets.eval()
        try:
            with torch.no_grad(), self._averaged(), gathered(self.passing):
                yield
        finally:
            self.nets.train()

    def _loop(self) -> None:
        with closing(self._batches()) as made:
            self.readings.resume()
            for arrays in made:
                if self.guard.passes_over(self.step + 1):
                    self._pass_over(arrays)
                else:
                    self._step(arrays)
                self._after()
                self.readings.resume()

    def _after(self) -> None:
        """What follows a step: reading, telling, saving, stopping."""
        last = self.step == self.steps
        saves = last or self.step % self.config.checkpoint_every == 0 or self.step in self.milestones
        read = self.readings.read() if self.readings.due or saves else []
        self.readings.pause()
        self._tell(read)
        for callback in self.callbacks:
            callback.after_step(self)
        asked = self._asked()  # once: a signal may come between two looks
        if saves or asked:
            self.readings.resume()
            self._tell(self.readings.read())
            self.fed.fold()
            self.saver(self)
        if last or asked:
            self.saver.finish(self)
        else:
            self.saver.poll(self)
        if asked and not last:
            raise Interrupted(
                f"{asked} after step {self.step:,} of {self.steps:,}; the state is saved",
                where=self.folder,
                fix=f"go on with: seedstock resume {self.folder.name}",
            )

    def _batches(self) -> Generator[dict[str, np.ndarray], None, None]:
        iterate = getattr(self.loader, "iterate", None)
        made = iterate(self.step, self.steps) if iterate else map(self.loader.batch, range(self.step, self.steps))
        with closing(made) if hasattr(made, "close") else nullcontext():
            while True:
                began = time.perf_counter()
                arrays = next(made, None)
                self._waited = time.perf_counter() - began
                if arrays is None:
                    return
                yield arrays

    def _step(self, arrays: dict[str, np.ndarray]) -> None:
        # Whoever draws from torch's own generator, against the advice, still repeats itself after a resume.
        self._generator().manual_seed(int(derive(self.seed, "step", self.step)[0]) >> 1)
        batch, kept = batches.tensors(arrays, self.device), self.guard.keep()
        examples = arrays["examples"]
        size = self.micro_batch * self._shorter()
        passes, last = self.world.most(-(-len(examples) // size), int(examples.max(initial=-1)))
        values = accumulate(
            self.nets,
            self.objective,
            batch,
            examples,
            size=size,
            seed=self.seed,
            world=self.world,
            parts=None if self.world.alone else passes,
            passing=self.passing,
        )
        gradients = [p.grad for p in self.parameters.values() if p.grad is not None]
        copies = self.passing.copies
        counted = (p.grad for p in self.parameters.values() if p.grad is not None and p not in copies)
        norm = total_norm(counted, self.world)
        if self.config.clip:
            clip(gradients, self.config.clip, norm)
        held, verdict = self.guard.judge(values.loss, norm)
        rate = self._update(held)
        for parameter in self.parameters.values():
            parameter.grad = None
        self.step += 1
        self.examples = last + 1
        positions = self.world.total(values.positions)[0]
        self.tokens += positions
        values.flops = positions * self._flops_of(values.passes) if values.passes else 0.0
        self.flops += values.flops
        if self.average is not None:
            self.average.update(self.step, held)
        if hasattr(self.network, "after_step"):
            self.network.after_step(self.world.add)  # type: ignore[operator]
        self.objective.after_step(self.nets, self.examples)
        self.guard.put_back(kept, held)
        self.fed.add(examples, batches.digests(arrays))
        values.positions = positions
        self.readings.add(self.step, self.examples, self.tokens, rate, self._waited, values, norm, verdict)

    def _update(self, held: Held) -> float:
        """A step of the optimizers at this step's rates, unless it is withheld; returns the first rate."""
        shares = {
            "lr": factor(self.config.schedule, self.step, self.steps),
            "weight_decay": decay_factor(self.config.decay_schedule, self.step, self.steps),
        }
        for optimizer, peaks in zip(self.optimizers, self.peaks, strict=True):
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group.update({name: value * shares[name] for name, value in peak.items()})
            withheld.step(optimizer, held)
        return self.peaks[0][0]["lr"] * shares["lr"]

    def _pass_over(self, arrays: dict[str, np.ndarray]) -> None:
        """A step that counts and teaches nothing: a rewind left it out."""
        self.step += 1
        self.examples = self.world.most(int(arrays["examples"].max(initial=-1)))[0] + 1

    def _shorter(self) -> int:
        """How many examples of this step are as long as one of the longest, which a micro-batch is counted in."""
        return 1 if self._plan is None else self._plan.longest // self._plan.length(self.step)

    @property
    def flops_a_token(self) -> float:
        """The model's work for a position, over the run so far: it depends on the length of sequences."""
        return self.flops / self.tokens if self.tokens else 0.0

    @property
    def digest(self) -> str:
        """What was fed until the last checkpoint, or until now where one process is fed alone."""
        return self.fed.digest

    def _averaged(self) -> AbstractContextManager[None]:
        return nullcontext() if self.average is None else self.average.swapped()

    def _asked(self) -> str | None:
        if not self.world.any(self.stop.asked):
            return None
        return self.stop.asked or "another process was asked to stop"

    def _generator(self) -> torch.Generator:
        if self.device.type == "cuda":
            return torch.cuda.default_generators[self.device.index or 0]
        return torch.default_generator

    def _tell(self, found: list[Reading]) -> None:
        good, skipped, trouble = self.guard.hear(found)
        self.losses |= {reading.step: reading.loss for reading in good}
        self.busy += sum(reading.seconds for reading in (*good, *skipped))
        for callback in self.callbacks if good else ():
            callback.read(self, good)
        rewind.note(self, skipped)
        if trouble is not None:
            raise _Back(trouble)


def _peaks(group: dict[str, Any]) -> dict[str, float]:
    """What of a parameter group follows a schedule."""
    return {name: group[name] for name in ("lr", "weight_decay") if name in group}


class _Back(Exception):
    """Something must be done about a trouble, outside of the step that found it."""

    def __init__(self, trouble: Trouble) -> None:
        self.trouble = trouble
