"""Going back to a checkpoint from before a trouble, and on without the examples around it.

All of it is on record before anything is removed, so a run that is killed half-way ends in the same place.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seedstock.errors import SeedstockError
from seedstock.ledger.chain import Chain
from seedstock.ledger.files import write_text
from seedstock.training import state
from seedstock.training.checkpoint import folder as checkpoints

if TYPE_CHECKING:
    from seedstock.training.guard import Trouble
    from seedstock.training.readings import Reading
    from seedstock.training.trainer import Trainer

SKIPPED, REWOUND, BY = "skipped", "rewound", "guard"


def passed(chain: Chain) -> list[tuple[int, int]]:
    """The ranges of steps [first, last] that earlier rewinds decided to leave out."""
    return [(body["without"][0], body["without"][1]) for body in _rewinds(chain)]


def note(run: Trainer, readings: list[Reading]) -> None:
    """Writes an event for each skipped step, and a record of its documents."""
    if not run.world.main or not readings:
        return
    known = {body["step"] for body in run.saver.chain.of(SKIPPED)}
    for reading in readings:
        body: dict[str, Any] = {"step": reading.step, "why": why(reading), "examples": reading.examples}
        if run.documents is not None:
            body["documents"] = run.documents(reading.step)
        if reading.step not in known:
            run.saver.chain.append(SKIPPED, body)
        run.reporter.event(SKIPPED, **body, loss=str(reading.loss), grad_norm=str(reading.grad_norm))
        run.reporter.say(f"step {reading.step:,} is skipped: {why(reading)}")


def why(reading: Reading) -> str:
    """What was wrong with a step, in words."""
    from math import isfinite

    for what, value, bound in zip(
        ("the loss", "the gradient's norm"), (reading.loss, reading.grad_norm), reading.bounds, strict=True
    ):
        if not isfinite(value):
            return f"{what} is {value}"
        if value > bound:
            return f"{what} is {value:.4g}, above {bound:.4g}"
    return "another process found it harmful"


def meet(run: Trainer, trouble: Trouble) -> None:
    """Rewinds the run; all processes call it together. Raises SeedstockError where that was done often enough, or there
    is no checkpoint from before the trouble."""
    run.saver.finish(run)
    chosen = run.world.first(lambda: _decide(run, trouble))
    if chosen is None:
        _stop(run, trouble)
    assert chosen is not None
    folder, without = chosen
    run.readings.forget()
    run.guard.passed = []
    state.put_back(run, folder)
    run.guard.passed = sorted({*run.guard.passed, *run.world.first(lambda: passed(run.saver.chain)), without})
    run.losses = {step: loss for step, loss in run.losses.items() if step <= run.step}
    for callback in run.callbacks:
        callback.rewound(run)


def complete(folder: Path, chain: Chain) -> None:
    """Removes the checkpoints that a rewind leaves behind, where it was cut off before it could."""
    stale: set[int] = set()
    for record in chain.records:
        body = record["body"]
        if record["kind"] == "checkpoint":
            stale.discard(body["step"])
        elif record["kind"] == REWOUND and body.get("by") == BY:
            earlier = (one["body"]["step"] for one in chain.records[: record["number"]] if one["kind"] == "checkpoint")
            stale |= {step for step in earlier if step > body["step"]}
    _remove(folder, stale)


def worth_keeping(run: Trainer, saved: int) -> frozenset[int]:
    """The checkpoint that a rewind would go back to, should it be due now, and the one that follows it in that place.

    Where the ``keep`` newest ones reach back far enough they are among those.
    """
    config = run.guard.config
    if config is None or not config.rewinds:
        return frozenset()
    steps = sorted(checkpoints.step_of(one) for one in checkpoints.listing(run.saver.folder))
    reach = config.window + (config.window // 2) * 2 ** (config.rewinds - 1)
    place = max(0, sum(step <= saved - reach for step in steps) - 1)
    return frozenset(steps[place : place + 2])


def _decide(run: Trainer, trouble: Trouble) -> tuple[Path, tuple[int, int]] | None:
    """The checkpoint to go back to and the range to leave out, on record; the later checkpoints are removed.

    The range begins half a window before the first skipped step, twice as early with each rewind: what upset the
    model was most often learned before it showed (Chowdhery et al. 2022, arXiv 2204.02311, section 5.1, leave out 200
    to 500 batches from some 100 before a spike on).
    """
    chain, config = run.saver.chain, run.guard.config
    if config is None or trouble.first is None:
        return None
    done = len({(one["without"][0], one["without"][1]) for one in _rewinds(chain)})
    if done >= config.rewinds:
        return None
    first = max(1, trouble.first - (config.window // 2) * 2**done)
    there = checkpoints.listing(run.saver.folder)
    good = [one for one in there if not checkpoints.problems(one)]
    before = next((one for one in good if checkpoints.step_of(one) < first), None)
    before = before or next((one for one in good if checkpoints.step_of(one) < trouble.first), None)
    if before is None:
        return None
    step = checkpoints.step_of(before)
    without = (max(first, step + 1), trouble.reading.step)
    begin = int(getattr(run.loader, "whole", run.loader).batch(without[0] - 1)["examples"].min())
    body = {"step": step, "from": trouble.reading.step, "by": BY, "without": [*without]}
    body |= {"examples": [begin, trouble.reading.examples], "why": why(trouble.reading)}
    chain.append(REWOUND, body)
    run.reporter.event(REWOUND, **body)
    steps = f"{without[0]:,} to {without[1]:,}"
    run.reporter.say(f"going back to {before.name}, and on without steps {steps}: {why(trouble.reading)}")
    _remove(run.saver.folder, {later for one in there if (later := checkpoints.step_of(one)) > step})
    return before, without


def _stop(run: Trainer, trouble: Trouble) -> None:
    reading, number = trouble.reading, trouble.reading.step  # people count steps from 1, loaders from 0
    examples = run.world.rows(run.loader.batch(number - 1)["examples"])
    what = why(reading).removeprefix("the ").partition(" is ")[0]
    fields: dict[str, Any] = {"documents": run.documents(number)} if run.documents and run.world.main else {}
    run.reporter.event("not_finite", step=number, what=what, examples=[int(e) for e in examples], **fields)
    numbers = f"{examples.min()} to {examples.max()}" if len(examples) > 8 else ", ".join(map(str, examples))
    often = ""
    if run.guard.config is not None:
        often = f" (the last of {len(run.guard.skips)} skipped steps, with no way back that was not tried)"
    raise SeedstockError(
        f"{why(reading)} at step {number}{often}, which was fed examples {numbers}; nothing of it is saved",
        where=run.folder,
        fix=f"`seedstock trace {run.folder.name} --step {number}` shows the documents; a lower learning rate"
        " (training.optimizer.learning_rate) or a tighter training.clip may help",
    )


def _rewinds(chain: Chain) -> list[dict[str, Any]]:
    return [body for body in chain.of(REWOUND) if body.get("by") == BY]


def _remove(folder: Path, steps: set[int]) -> None:
    for one in checkpoints.listing(folder):
        if checkpoints.step_of(one) in steps:
            aside = one.with_name(f".{one.name}.old")  # out of the way first: a deletion may be cut off
            one.rename(aside)
            shutil.rmtree(aside)
    left = checkpoints.listing(folder)
    if steps and left:
        write_text(folder / checkpoints.LATEST, left[0].name + "\n")
