"""The way into training: ``fit`` trains, saves, and goes on from where an earlier attempt stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from seedstock.errors import RecipeError
from seedstock.ledger import manifest
from seedstock.ledger.chain import Chain
from seedstock.ledger.ids import sha256_file
from seedstock.objectives.base import assemble
from seedstock.progress import Reporter, Silent
from seedstock.training import attempts, environment, float8, measure, memory, presume, rewind, saving, state
from seedstock.training.callbacks.base import Callback
from seedstock.training.callbacks.events import Events
from seedstock.training.callbacks.profile import Profile
from seedstock.training.callbacks.progress import Progress
from seedstock.training.callbacks.samples import Samples
from seedstock.training.callbacks.validation import Validation
from seedstock.training.checkpoint import folder as checkpoints
from seedstock.training.checkpoint.store import Store
from seedstock.training.configs.parallel import Degrees, check
from seedstock.training.configs.training import TrainingConfig
from seedstock.training.locked import lock
from seedstock.training.parallel import blank
from seedstock.training.parallel.layouts import spread
from seedstock.training.parallel.part import Part
from seedstock.training.parallel.recompute import recompute
from seedstock.training.parallel.world import World
from seedstock.training.passing import Pass
from seedstock.training.saving import Saver
from seedstock.training.schedule import decay_start
from seedstock.training.settle import DTYPES, apply, settle
from seedstock.training.trainer import Trainer

FOLDER = "checkpoints"


@dataclass(frozen=True)
class Result:
    """What ``fit`` did. ``losses`` are those of this attempt's steps, but for skipped ones; the rest is since the run
    began.

    An attempt that found every step done (``resumed_at_end``) has no losses; speed, FLOPs and peak are then those that
    its checkpoint holds. ``tokens_per_second`` is None where no step was ever timed.

    ``seconds`` are spent on steps: without validation, samples, checkpoints, and steps that were lost and done again.
    ``config`` has everything that was measured filled in; ``digest`` is the head of the chain over what was fed.
    """

    step: int
    examples: int
    tokens: int
    digest: str
    checkpoint: Path
    config: TrainingConfig
    attempt: int
    losses: list[float] = field(default_factory=list)
    seconds: float = 0.0
    tokens_per_second: float | None = None
    flops_a_token: float = 0.0
    peak_flops: float = 0.0
    validation: dict[str, Any] = field(default_factory=dict)

    @property
    def mfu(self) -> float:
        """Model FLOPs utilisation: the share of the measured peak; 0 where either is not known."""
        return (self.tokens_per_second or 0.0) * self.flops_a_token / self.peak_flops if self.peak_flops else 0.0

    @property
    def resumed_at_end(self) -> bool:
        """Whether this attempt found nothing left to do."""
        return not self.losses


def fit(
    *,
    network: nn.Module,
    objective: Any,
    loader: Any,
    config: TrainingConfig,
    run_folder: Path,
    chain: Chain,
    reporter: Reporter | None = None,
    seed: int = 1,
    validate: Callable[[nn.ModuleDict, int], dict[str, Any]] | None = None,
    sample: Callable[[nn.ModuleDict, int], str] | None = None,
    callbacks: Sequence[Callback] = (),
    settled: Callable[[TrainingConfig], None] | None = None,
    identity: str | None = None,
    providers: dict[str, dict[str, str]] | None = None,
    world: World | None = None,
    documents: Callable[[int], list[str]] | None = None,
    device: torch.device | None = None,
    begin: Callable[[Any], None] | None = None,
) -> Result:
    """Trains ``network`` on ``objective`` to the end of ``config``, or goes on from ``run_folder/checkpoints``.

    ``loader.batch(step)`` gives a dict of numpy arrays with ``examples`` (int64 ``[B]``), and may give ``digests``
    (uint8 ``[B, 16]``); ``loader.iterate(first, last)`` is used where there is one. The network lies on its device
    already. ``validate(nets, step)`` gives numbers by name, ``sample(nets, step)`` a text. What is left to
    measure is measured once; ``settled`` is then handed the configuration before the first step, to be kept.
    ``identity`` is a digest of what the checkpoints belong to (recipe and data plan, without what is measured): every
    checkpoint holds it, and one with another is not gone on from. ``providers`` (``kinds.providers``) go into the
    record of the attempt; a resume says which have changed. ``documents(step)`` (from 1) names what a step reads, for
    the record of one that is skipped.

    Where torch's process group is up, every process calls it with the same arguments, and ``config.parallel`` says how
    they divide the work (``world``: a world that is made already). The main one alone writes, records and speaks.
    Where no process shall hold the whole network it lies on the meta device, and ``device`` is where it is to be
    (``parallel.blank``): ``begin(network)``, by default ``network.initialise()``, gives it its first weights once it
    is laid out.

    Raises Interrupted, with the state saved, after SIGTERM or Ctrl-C; SeedstockError where a loss is not finite and
    ``config.guard`` knows no way on, where
    the disk is full (earlier checkpoints stay), and where another process trains this run; IntegrityError where every
    checkpoint is damaged or they belong to another recipe.
    """
    run_folder, folder = Path(run_folder), Path(run_folder) / FOLDER
    device = device or next(network.parameters()).device
    passing = Pass(assemble(network, objective, device), objective)
    kept = lock(passing.nets, config.locked)
    world = world or World.of(config.parallel, device)
    reporter = (reporter or Silent()) if world.main else Silent()
    _check(config, world, network, objective)
    if kept:
        reporter.say(f"   {kept:,} parameters are locked")
    loader = loader if world.alone else Part(loader, world.part, world.parts)
    with ExitStack() as held:
        world.first(lambda: held.enter_context(attempts.alone(folder)))
        held.enter_context(environment.settings(config))
        held.enter_context(memory.kept())
        store = None if config.store is None or not world.main else Store(config.store, reporter)
        found = world.first(lambda: _find(folder, chain, reporter, store))
        if config.compile == "auto" and any(_against_compilation(config, world.degrees)):
            config = config.model_copy(update={"compile": False})
        recompute(passing.nets, config.recompute)  # before memory and speed are measured
        if config.float8:
            count = float8.use(passing.nets, config.float8, device)
            emulated = ", emulated" * config.float8.emulate
            reporter.say(f"{count} matrices are multiplied in float8 ({config.float8.recipe}{emulated})")
        repeated = world.first(lambda: attempts.repeat(config, chain))
        config = world.first(lambda: _settle(repeated, passing, world.degrees, device, loader, reporter, seed))
        if settled and world.main:
            settled(config)
        held.enter_context(environment.settings(config))
        compile = partial(apply, config, reporter=reporter)
        spread(passing, world, config.parallel, recompute=config.recompute, compile=compile)
        first = begin or (lambda network: network.initialise())
        world.together(lambda: blank.fill(passing, device, None if found.newest else first))
        saver = Saver(folder, chain, found.attempt, found.parent, found.damaged, world, config.background, store)
        held.callback(saver.close)
        run = Trainer(
            passing=passing,
            world=world,
            loader=loader,
            config=config,
            folder=run_folder,
            reporter=reporter,
            seed=seed,
            callbacks=_callbacks(config, validate, sample, callbacks),
            save=saver,
            sample=sample,
            milestones=_milestones(config),
            identity=identity,
            documents=documents,
        )
        run.guard.passed = world.first(lambda: rewind.passed(chain))
        if found.newest is not None:
            _resume(run, found.newest, chain, providers or {})
        if run.step < run.steps:
            world.first(lambda: _begin(run, chain, found, providers))
            run.peak_flops = world.size * world.first(lambda: measure.peak(DTYPES[config.precision], run.device))
            run.run()
        checkpoint = saver.last or found.newest
        assert checkpoint is not None
        return _result(run, checkpoint, found.attempt)


@dataclass(frozen=True)
class _Found:
    """What is there to go on from, and what this attempt is called."""

    newest: Path | None
    damaged: frozenset[int]
    parent: dict[str, Any] | None
    attempt: int


def _find(folder: Path, chain: Chain, reporter: Reporter, store: Store | None) -> _Found:
    checkpoints.sweep(folder)
    rewind.complete(folder, chain)
    if store is not None:
        store.fetch(folder)
    damaged: set[int] = set()

    def passed_over(path: Path, problems: list[str]) -> None:
        damaged.add(checkpoints.step_of(path))
        reporter.event("damaged_checkpoint", folder=path.name, problems=problems)
        reporter.say(f"{path.name} is damaged ({problems[0]}); looking at the one before")

    newest = checkpoints.newest(folder, saving.recorded(chain), passed_over)
    attempt = sum(1 for _ in chain.of(attempts.KIND)) + 1
    return _Found(newest, frozenset(damaged), _parent(newest), attempt)


def _begin(run: Trainer, chain: Chain, found: _Found, providers: dict[str, dict[str, str]] | None) -> None:
    """Records the attempt."""
    body: dict[str, Any] = {"attempt": found.attempt, "step": run.step, "parent": found.parent, "seed": run.seed}
    body |= {"settled": attempts.settled(run.config), "versions": environment.versions()}
    if not run.world.alone:
        body["layout"] = str(run.world.degrees)
    if providers:
        body["providers"] = providers
    chain.append(attempts.KIND, body)


def _check(config: TrainingConfig, world: World, network: nn.Module, objective: Any) -> None:
    """Raises RecipeError where the layout is none for this model, objective and batch, on every process alike."""
    if not world.alone:
        model = getattr(network, "config", None)
        asked = {"examples": config.smallest_batch, "by_position": objective.by_position, "lengths": config.lengths}
        check(config.parallel, world.size, model=model, **asked)
        for what, fix in _against_stages(config) if world.degrees.pipeline > 1 else ():
            raise RecipeError(what, where="training.parallel.pipeline", fix=fix)
        for what, fix in _against_compilation(config, world.degrees) if config.compile is True else ():
            raise RecipeError(f"{what}, which training.compile does not allow", where="training.compile", fix=fix)


def _against_compilation(config: TrainingConfig, degrees: Degrees) -> Iterator[tuple[str, str]]:
    """What blocks cannot be compiled under, and what to do about it."""
    if degrees.pipeline > 1 and config.parallel.schedule == "zero-bubble":
        yield "the zero-bubble schedule runs backward in two halves", "leave compile out, or take another schedule"
    if degrees.tensor > 1 and config.recompute == "full":  # torch 2.13: an assertion of AOTAutograd
        yield "under tensor, recompute: full works blocks out again", "leave compile out, or recompute: selective"


def _against_stages(config: TrainingConfig) -> Iterator[tuple[str, str]]:
    """What does not go together with layers that are divided, and what to do about it."""
    asked = {"groups": bool(config.groups), "locked": bool(config.locked)}
    asked |= {"optimizer.layer_decay": getattr(config.optimizer, "layer_decay", 1.0) < 1}
    for name in (name for name, given in asked.items() if given):
        what = f"training.{name} looks at all layers, and under pipeline a process has some of them"
        yield what, "leave it out, or use shard"
    if config.recompute != "none" and config.parallel.schedule == "zero-bubble":
        what = "the zero-bubble schedule runs backward in two halves, which training.recompute does not allow"
        yield what, "leave recompute out, or take another schedule"


def _settle(
    config: TrainingConfig,
    passing: Pass,
    degrees: Degrees,
    device: torch.device,
    loader: Any,
    reporter: Reporter,
    seed: int,
) -> TrainingConfig:
    network: Any = passing.nets["network"]
    empty = not config.measured and blank.is_blank(network)
    if empty and presume.too_large(config, network, device):
        config, figures = presume.presume(config, network, device, degrees)
        reporter.event("settled", **attempts.settled(config), figures=figures)
        reporter.say(
            f"settled by estimate, since the model fits no device whole: {config.precision}, "
            f"{config.micro_batch} example{'s' * (config.micro_batch != 1)} at once"
        )
    elif not config.measured:
        nets, objective = passing.nets, passing.objective
        if empty:  # for as long as it is measured, this process alone has all of it
            nets = assemble(blank.whole(network, device), objective, device)
            lock(nets, config.locked)
            recompute(nets, config.recompute)
            if config.float8:
                float8.use(nets, config.float8, device)
        # A smaller batch, or a shorter one, would tell another micro-batch.
        full = loader.plan.fullest() if hasattr(loader, "plan") else config.batches()[-1][0]
        config, figures = settle(config, nets, objective, loader.batch(full), seed)
        reporter.event("settled", **attempts.settled(config), figures=figures)
        compiled = ", compiled" if config.compile else ""
        reporter.say(
            f"settled: {config.precision}, {config.threads} thread{'s' * (config.threads != 1)}, "
            f"{config.micro_batch} examples at once{compiled}"
        )
    if hasattr(loader, "plan"):
        loader.plan.require(config.steps)
    return config


def _parent(folder: Path | None) -> dict[str, Any] | None:
    if folder is None:
        return None
    return {"step": checkpoints.step_of(folder), "manifest_sha256": sha256_file(folder / manifest.NAME)}


def _milestones(config: TrainingConfig) -> frozenset[int]:
    """The last step before a WSD schedule falls: a run can be continued from there without warming up again."""
    assert config.steps is not None
    start = decay_start(config.schedule, config.steps)
    return frozenset({start} if config.schedule.kind == "wsd" and 0 < start < config.steps else ())


def _callbacks(
    config: TrainingConfig,
    validate: Callable[[nn.ModuleDict, int], dict[str, Any]] | None,
    sample: Callable[[nn.ModuleDict, int], str] | None,
    given: Sequence[Callback],
) -> list[Callback]:
    found: list[Callback] = [Events()]
    if validate and config.validate_every:
        found.append(Validation(validate, config.validate_every))
    if sample and config.sample_every:
        found.append(Samples(config.sample_every))
    if config.profile:
        found.append(Profile())
    found += [*(callback.build() for callback in config.callbacks), *given, Progress()]
    names = [callback.name for callback in found]
    for name in names:
        if names.count(name) > 1:
            raise RecipeError(f"two callbacks are named {name!r}", where="training.callbacks", fix="remove one")
    return found


def _resume(run: Trainer, folder: Path, chain: Chain, providers: dict[str, dict[str, str]]) -> None:
    """Puts the run where a checkpoint left it, and says what is not as it was then."""
    held = state.put_back(run, folder)
    run.peak_flops = held["peak_flops"]
    if run.step > run.steps:
        what = f"the run is at step {run.step:,} already, beyond the {run.steps:,} of the recipe"
        raise RecipeError(what, where=folder, fix="a shorter run needs another name (--name); this one keeps its steps")
    if not run.world.main:
        return
    if run.step not in saving.recorded(chain):
        saving.record(chain, run.folder, folder, run.step, run.digest, run.examples)
    if run.step < run.steps:
        now = environment.versions() | {name: getattr(run.config, name) for name in ("threads", "precision", "compile")}
        then = held["versions"] | {name: held[name] for name in ("threads", "precision", "compile")}
        then, now = (
            then | {"layout": held.get("layout", str(Degrees()))},
            now | {"layout": str(run.world.degrees)},
        )
        earlier = (chain.last(attempts.KIND) or {}).get("providers", {})
        if earlier and providers:
            then, now = then | attempts.shown(earlier), now | attempts.shown(providers)
        changed = environment.differences(then, now)
        note = f"; not bit for bit, since {', '.join(changed)}" if changed else ""
        run.reporter.event("resumed", step=run.step, folder=folder.name, changed=changed)
        run.reporter.say(f"going on from {folder.name}{note}")


def _result(run: Trainer, checkpoint: Path, attempt: int) -> Result:
    validation = next((callback.last for callback in run.callbacks if isinstance(callback, Validation)), {})
    return Result(
        step=run.step,
        examples=run.examples,
        tokens=run.tokens,
        digest=run.digest,
        checkpoint=checkpoint,
        config=run.config,
        attempt=attempt,
        losses=[run.losses[step] for step in sorted(run.losses)],
        seconds=run.busy,
        tokens_per_second=run.tokens / run.busy if run.busy else None,
        flops_a_token=run.flops_a_token,
        peak_flops=run.peak_flops,
        validation=validation,
    )
