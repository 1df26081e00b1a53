"""The segments of a mixture: weights that change over the run, and exact numbers of windows where there are budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from seedstock.corpus.selection.apportion import apportion
from seedstock.corpus.selection.groups import owners
from seedstock.errors import DataError, RecipeError
from seedstock.inputs.mixture import seen, weights
from seedstock.inputs.segments import NEVER, Segment

if TYPE_CHECKING:
    from seedstock.inputs.config import MixtureConfig
    from seedstock.inputs.shards import Stratum

T = TypeVar("T")
U = TypeVar("U")


def repeats(strata: Sequence[Stratum], config: MixtureConfig) -> dict[int, int | None]:
    """Stratum number → how many times it may be seen, where that is not ``max_repeats``; of several the lowest.

    Raises DataError where a cap names nothing.
    """
    found: dict[int, int | None] = {}
    for part, named in config.repeats.items():
        for stratum, name in _named(strata, part, named, "mixture.repeats"):
            caps = [cap for cap in (named[name], found.get(stratum.stratum)) if cap is not None]
            found[stratum.stratum] = min(caps, default=None)
    return found


def segments(
    strata: Sequence[Stratum],
    config: MixtureConfig,
    *,
    length: int,
    batch: int | Sequence[tuple[int, int]],
    steps: int | None,
) -> list[Segment]:
    """The plan's segments over ``steps`` steps of ``batch`` windows of ``length`` tokens.

    ``batch`` may be a list of (first step, windows), each of which holds until the next begins.

    Raises RecipeError where the mixture needs a known number of steps and there is none, DataError where budgets are
    more than the run or the data hold.
    """
    batches = [(0, batch)] if isinstance(batch, int) else [*batch]
    if not config.needs_length and len(batches) == 1:
        return [Segment(0, weights(strata, config), length, batches[0][1])]
    if steps is None:
        raise RecipeError(
            "budgets, a schedule and a batch that grows need a run of known length",
            where="mixture" if config.needs_length else "training.batch_warmup",
            fix="set training.steps or training.tokens",
        )
    strata = [stratum for stratum in strata if stratum.tokens >= 2]
    parts = merged(phases(config, steps), batches)
    bounds = [0]
    for (start, _, size), end in zip(parts, [*(start for start, _, _ in parts[1:]), steps], strict=True):
        bounds.append(bounds[-1] + size * (end - start))
    if not any(config.budgets.values()):
        return [
            Segment(first, weights(strata, phase), length, size)
            for first, (_, phase, size) in zip(bounds, parts, strict=False)
        ]
    return _exact(strata, config, [phase for _, phase, _ in parts], bounds, length, [size for _, _, size in parts])


def phases(config: MixtureConfig, steps: int) -> list[tuple[int, MixtureConfig]]:
    """The (first step, mixture) of each phase of a schedule over ``steps`` steps; of a mixture without one, itself.

    Raises RecipeError where two begin with the same step.
    """
    found = [
        (
            int(round(phase.start * steps, 6)),
            config.model_copy(update={"weights": phase.weights, **_temperature(phase)}),
        )
        for phase in config.schedule
    ] or [(0, config)]
    if len({start for start, _ in found}) < len(found):
        raise RecipeError(
            f"{len(found)} phases in {steps} steps: two begin with the same one",
            where="mixture.schedule",
            fix="train longer, or list fewer phases",
        )
    return found


def merged(one: Sequence[tuple[int, T]], other: Sequence[tuple[int, U]]) -> list[tuple[int, T, U]]:
    """What holds of both from each step on at which one of them changes, of (first step, what) by step."""
    starts = sorted({start for start, _ in (*one, *other)})
    return [(start, _holding(one, start), _holding(other, start)) for start in starts]


def _holding(changes: Sequence[tuple[int, T]], step: int) -> T:
    """What holds at a step, of (first step, what) by step."""
    return next(what for start, what in reversed(changes) if start <= step)


def _temperature(phase: object) -> dict[str, float]:
    value = getattr(phase, "temperature", None)
    return {} if value is None else {"temperature": value}


def _exact(
    strata: Sequence[Stratum],
    config: MixtureConfig,
    phases: Sequence[MixtureConfig],
    bounds: Sequence[int],
    length: int,
    batches: Sequence[int],
) -> list[Segment]:
    """Segments whose weights are numbers of windows: budgets evenly over the run, the rest by each phase's weights."""
    caps, left = repeats(strata, config), {}
    for stratum in strata:
        passes = caps.get(stratum.stratum, config.max_repeats)
        left[stratum.stratum] = NEVER if passes is None else -(-(stratum.tokens - 1) // length) * passes
    budgets = _budgets(strata, config, length)
    total = bounds[-1]
    asked = sum(windows for _, _, windows in budgets)
    if asked > total:
        raise DataError(
            f"the budgets come to {asked * length:,} tokens, and the run reads {total * length:,}",
            where="mixture.budgets",
            fix="train longer, or lower them",
        )
    taken = {member.stratum for _, members, _ in budgets for member in members}
    free = [stratum for stratum in strata if stratum.stratum not in taken]
    found = []
    for phase, first, stop, batch in zip(phases, bounds, bounds[1:], batches, strict=False):
        counts: dict[int, int] = {}
        for where, members, windows in budgets:
            share = windows * stop // total - windows * first // total
            counts |= _shared(share, {one.stratum: float(seen(one)) for one in members}, left, f"the budget of {where}")
        rest = stop - first - sum(counts.values())
        if rest and not free:
            raise DataError(
                f"the budgets come to {asked * length:,} tokens, and the run reads {total * length:,}",
                where="mixture.budgets",
                fix=f"leave a group without a budget, or train {asked // batches[-1]} steps",
            )
        if free:
            counts |= _shared(rest, weights(free, phase), left, "what has no budget")
        for number, count in counts.items():
            left[number] -= count
        found.append(
            Segment(first, {n: float(count) for n, count in sorted(counts.items())}, length, batch, exact=True)
        )
    return found


def _shared(total: int, shares: Mapping[int, float], left: Mapping[int, int], what: str) -> dict[int, int]:
    """``total`` windows over strata, none of more than it has left."""
    numbers = sorted(shares)
    try:
        found = apportion(total, [shares[n] for n in numbers], [left[n] for n in numbers])
    except ValueError:
        there = sum(left[n] for n in numbers if shares[n] > 0)
        raise DataError(
            f"{what} needs {total:,} windows, and {there:,} are left under the caps on repeats",
            where="mixture",
            fix="raise mixture.repeats or max_repeats for it, lower the budget, or add documents",
        ) from None
    return dict(zip(numbers, found, strict=True))


def _budgets(strata: Sequence[Stratum], config: MixtureConfig, length: int) -> list[tuple[str, list[Stratum], int]]:
    """What each budget is of, its strata, and its whole windows."""
    found: dict[tuple[str, str], list[Stratum]] = {}
    of: dict[int, str] = {}
    for part, named in config.budgets.items():
        for stratum, name in _named(strata, part, named, "mixture.budgets"):
            if stratum.stratum in of:
                raise DataError(
                    f"two budgets hold for the same documents: {of[stratum.stratum]} and {part} {name}",
                    where="mixture.budgets",
                    fix="write them by one part (source, domain, language, band)",
                )
            of[stratum.stratum] = f"{part} {name}"
            found.setdefault((part, name), []).append(stratum)
    return [
        (f"{part} {name}", members, config.budgets[part][name] // length)  # type: ignore[index]
        for (part, name), members in found.items()
    ]


def _named(strata: Sequence[Stratum], part: str, named: Mapping[str, object], where: str) -> list[tuple[Stratum, str]]:
    """Each stratum that a name means, with the name."""
    values = {stratum.stratum: (str(getattr(stratum, part)),) for stratum in strata}
    owner = owners(named, sorted(set(values.values())), [part], where)
    return [(one, owner[values[one.stratum]]) for one in strata if values[one.stratum] in owner]
