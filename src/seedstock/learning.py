"""The training stage of a run, in as many processes as there are devices: on this machine, or started by a launcher."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from seedstock import kinds
from seedstock.errors import RecipeError, SeedstockError
from seedstock.ledger.chain import Chain
from seedstock.ledger.ids import digest
from seedstock.progress import Reporter, Silent
from seedstock.runs import Run
from seedstock.training.configs.parallel import Degrees, ParallelConfig, check
from seedstock.training.parallel import places

if TYPE_CHECKING:
    from seedstock.training.fit import Result

GO = "go"
FLIGHT = "flight"
"""Where in a run's folder it is written down what processes exchanged last, when one is lost."""
PATIENCE = timedelta(days=30)
"""How long the others wait while the first process builds the corpus."""


def train(run: Run, reporter: Reporter) -> Result:
    """Trains a run whose recipe is resolved and whose plan is recorded, and returns what the main process gave."""
    from seedstock.training.parallel import launch

    recipe, place = run.recipe, places.find()
    config = recipe.training
    size = place.size if place else launch.devices(config.processes)
    if size == 1:
        insist_on_room(run, Degrees(), 1)
        return learn(run, reporter)

    def layout(size: int) -> Degrees:
        model, examples = recipe.model.resolved(), config.smallest_batch
        return check(config.parallel, size, model=model, examples=examples, lengths=config.lengths)

    if place is None and config.processes is None and config.parallel == ParallelConfig():
        size = most(size, layout)  # nothing was asked for: as many of the devices as can be of use
        if size == 1:
            insist_on_room(run, Degrees(), 1)
            return learn(run, reporter)
    insist_on_room(run, layout(size), size if place is None else 1)
    reporter.say(f"   {size} processes: {layout(size)}")
    if place is not None:
        _store().set(GO, f"{run.runs.absolute()}\n{run.name}")
        return _together(run, reporter, place)
    arguments = (run.runs.absolute(), run.name, reporter)
    found = launch.start(work, arguments, size, config.parallel.timeout, run.folder / FLIGHT)
    run.chain = Chain(run.chain.path)  # the others wrote to it
    run.__dict__.pop("recipe", None)
    return found


def insist_on_room(run: Run, degrees: Degrees, here: int) -> None:
    """Raises RecipeError, before anything is built, where the model cannot be trained in a device's memory; ``here``
    processes share the memory of this machine where it has no other devices."""
    from seedstock import machine
    from seedstock.planning.layout import require
    from seedstock.planning.memory import Use
    from seedstock.planning.parameters import Shape

    recipe, (device, room) = run.recipe, machine.memory()
    config = recipe.training
    if not room:
        return
    share = -(-(config.batch_examples or 1) // degrees.batch)
    size = min(config.micro_batch or 1, share)
    use = Use(
        size,
        passes=-(-share // size),
        optimizer=config.optimizer.kind,
        precision="fp32" if config.precision == "fp32" else "bf16",
        ema=config.ema is not None,
        device=device,
        shards=degrees.shard * degrees.context * degrees.pipeline,  # who has a part of the weights
        tensor=degrees.tensor,
        recompute=config.recompute,
    )
    shape, room = Shape.of(recipe.model), room // here if device == "cpu" else room
    require(shape, run.vocab_size, use, memory_bytes=room, examples=config.batch_examples or 1)


def most(size: int, layout: Callable[[int], Any]) -> int:
    """The largest number of processes up to ``size`` that there is a layout for; 1 needs none."""
    for count in range(size, 1, -1):
        with contextlib.suppress(RecipeError):
            layout(count)
            return count
    return 1


def work(runs: Path, name: str, reporter: Reporter) -> Result:
    """One process of several on this machine."""
    return learn(Run.open(runs, name), reporter)


def learn(run: Run, reporter: Reporter) -> Result:
    """This process's training: alone, or with the others of its group."""
    import torch.distributed as dist

    from seedstock import answers, scoring, weights
    from seedstock.inputs.items.loader import ItemLoader
    from seedstock.inputs.loader import Loader
    from seedstock.training.callbacks.stragglers import Stragglers
    from seedstock.training.fit import fit
    from seedstock.training.parallel import blank

    recipe, made = run.recipe, run.plan
    if dist.is_initialized() and dist.get_rank():
        reporter = Silent()
    several = dist.is_initialized() and dist.get_world_size() > 1
    objective = weights.objective(run)
    network, begins = weights.build(recipe, run.vocab_size, blank=True), recipe.training.start and not run.steps_done
    if not (several and blank.possible(type(network), objective) and weights.begins_by_parts(run)):
        network = weights.build(recipe, run.vocab_size)
        if begins:
            weights.begin(run, network)
    if begins:
        told = (f"{part}{': ' * bool(part)}{name}" for part, name in recipe.training.begun.items())
        reporter.say(f"   starting from the weights of {', '.join(told)}")
    expected = scoring.expected(run, objective)
    if not recipe.training.start:
        reporter.event("expect", first=expected.first, tolerance=expected.tolerance)
    first = ", ".join(f"{name} {value:.3f}" for name, value in expected.first.items())
    reporter.say(f"   a fresh network's loss: {first}; the floor: {expected.floor or 'none is known'}")
    reporter.say(f"   {sum(p.numel() for p in network.parameters()):,} parameters on {weights.device()}")
    loader = (Loader if recipe.input.kind == "tokens" else ItemLoader)(
        run.shards,
        made,
        prepare=objective.prepare,
        raw_length=objective.raw_length,
        partners=objective.partners,
        seed=recipe.seed,
    )
    return fit(
        network=network,
        objective=objective,
        loader=loader,
        config=recipe.training,
        run_folder=run.folder,
        chain=run.chain,
        reporter=reporter,
        seed=recipe.seed,
        callbacks=[Stragglers()] if several else [],
        validate=scoring.uncompiled(scoring.validation(run, objective)),
        sample=scoring.uncompiled(scoring.sampler(run, objective)),
        settled=lambda config: _settled(run, config),
        identity=digest({"plan": made.fingerprint, "recipe": run.identity, **weights.parents(run)}),
        providers=kinds.providers(recipe),
        documents=lambda step: answers.names(run, step),
        device=weights.torch_device(),
        begin=(lambda network: weights.begin(run, network)) if begins else None,
    )


def _settled(run: Run, training: Any) -> None:
    """Freezes what was measured, so that a resume or a rerun repeats it."""
    recipe = run.recipe.model_copy(update={"training": training})
    if recipe != run.recipe:
        run.rewrite(recipe)


# Processes that torchrun or Slurm started: the first one does every stage, the others join it for the training.


def follows() -> bool:
    """Whether this is not the first of several processes that a launcher started."""
    place = places.find()
    return place is not None and place.rank > 0


def follow() -> NoReturn:
    """Waits until the first process trains, trains with it, and ends; the first one alone says what went wrong."""
    place, store = places.find(), _store()
    assert place is not None
    store.wait([GO], PATIENCE)
    told = store.get(GO).decode()
    if not told:
        raise SystemExit(0)
    runs, name = told.split("\n")
    try:
        _together(Run.open(runs, name), Silent(), place)
    except SeedstockError as error:
        raise SystemExit(error.code) from None
    raise SystemExit(0)


def dismiss() -> None:
    """Tells the others, where a launcher started any, that there is nothing to train."""
    place = places.find()
    if place is not None and place.rank == 0 and not _store().check([GO]):
        _store().set(GO, "")


def _together(run: Run, reporter: Reporter, place: places.Place) -> Result:
    from seedstock.training.parallel.group import formed

    timeout, records = run.recipe.training.parallel.timeout, run.folder / FLIGHT
    with formed(_store(), place.rank, place.size, place.local, timeout, records):
        return learn(run, reporter)


@cache
def _store() -> Any:
    """What the processes of a launcher have in common."""
    import torch.distributed as dist

    place = places.find()
    assert place is not None
    os.environ.update(
        RANK=str(place.rank), WORLD_SIZE=str(place.size), MASTER_ADDR=place.address, MASTER_PORT=str(place.port)
    )
    store, _, _ = next(dist.rendezvous("env://", timeout=PATIENCE))
    # torchrun's store outlives the processes that it starts again, and what those before wrote would mislead them.
    return dist.PrefixStore(f"seedstock-{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)
