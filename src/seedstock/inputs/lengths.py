"""The segments of a plan whose windows change their length on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from seedstock.errors import RecipeError
from seedstock.inputs import budgets
from seedstock.inputs.mixture import weights
from seedstock.inputs.segments import Segment

if TYPE_CHECKING:
    from seedstock.inputs.config import MixtureConfig
    from seedstock.inputs.plan import DataPlan
    from seedstock.inputs.shards import Stratum

KEY = "training.phases"


def segments(
    strata: Sequence[Stratum],
    config: MixtureConfig,
    make: Callable[[Sequence[Segment]], DataPlan],
    *,
    lengths: Sequence[tuple[int, int]],
    batches: Sequence[tuple[int, int]],
    steps: int | None,
) -> list[Segment]:
    """The plan's segments over ``steps`` steps: (first step, tokens of a window), (first step, windows a step), and
    the phases of the mixture's schedule, each of which holds until the next begins. ``make`` makes plans of segments.

    A change of length waits until every stratum has finished the group of superblocks that it stands in; what else
    would change meanwhile changes with it.

    Raises RecipeError where it waits beyond the next change of length or the end of the run, with budgets (which count
    windows of one length), and for a run of unknown length; DataError where the data end before.
    """
    if steps is None:
        what, fix = "a change of length needs a run of known length", "set training.steps or training.tokens"
        raise RecipeError(what, where=KEY, fix=fix)
    if any(config.budgets.values()):
        what = "mixture.budgets count windows of one length, and the length changes"
        raise RecipeError(what, where=KEY, fix="leave the budgets out, or write weights in their place")
    strata = [stratum for stratum in strata if stratum.tokens >= 2]
    sizes = [(start, (length, batch)) for start, length, batch in budgets.merged(lengths, batches)]
    found: list[Segment] = []
    for start, phase, (length, batch) in budgets.merged(budgets.phases(config, steps), sizes):
        if start >= steps:
            break
        own = Segment(0, weights(strata, phase), length, batch)
        if not found:
            found = [own]
            continue
        plan = make(found)
        begun = plan.step(plan.starts[-1])
        if begun < start:
            found.append(replace(own, example=plan.examples(start)[0]))
        elif length == found[-1].length:
            found[-1] = replace(own, example=found[-1].example)
        else:
            raise _late(found[-1].length, begun, f"the next one is at step {start:,}")
    plan = make(found)
    if (begun := plan.step(plan.starts[-1])) >= steps:
        raise _late(found[-1].length, begun, f"the run ends after {steps:,}")
    return found


def _late(length: int, begun: int, meanwhile: str) -> RecipeError:
    return RecipeError(
        f"the change to {length:,} tokens waits until step {begun:,}, where every group of documents has finished the "
        f"windows that it began, and {meanwhile}",
        where=KEY,
        fix="make the phases longer, or have fewer groups of documents (sources, domains, languages)",
    )
