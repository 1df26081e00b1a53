"""Weights of the strata from the recipe's ``mixture``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from seedstock.corpus.selection.groups import owners
from seedstock.errors import DataError

if TYPE_CHECKING:
    from seedstock.inputs.config import MixtureConfig
    from seedstock.inputs.shards import Stratum


def weights(strata: Iterable[Stratum], config: MixtureConfig) -> dict[int, float]:
    """Stratum number → its share of the training examples; the shares come to 1.

    A group g has p_g ∝ tokens_g^(1/T) (exponential smoothing of languages: Conneau et al. 2020, arXiv 1911.02116,
    section 3.1, α = 1/T); a stratum's tokens count as often as they are to be repeated. Raises DataError where a weight
    names no group, two name the same, or nothing is left.
    """
    groups: dict[tuple[str, ...], list[Stratum]] = {}
    for stratum in sorted(strata, key=lambda item: item.stratum):
        groups.setdefault(group_of(stratum, config.by), []).append(stratum)
    smooth = {group: sum(map(seen, members)) ** (1 / config.temperature) for group, members in groups.items()}
    shares = _shares(smooth, config)
    total = sum(shares.values())
    if not total > 0:
        raise DataError("every stratum has a weight of 0", where="mixture.weights", fix="give one a share")
    result = {}
    for group, members in groups.items():
        tokens = sum(map(seen, members))
        for s in members:
            # Twelve digits: powers differ in the last bit between machines, and a plan must not.
            result[s.stratum] = float(f"{shares[group] / total * seen(s) / max(tokens, 1):.12g}")
    return dict(sorted(result.items()))


def group_of(stratum: Stratum, by: Iterable[str]) -> tuple[str, ...]:
    """The group of a stratum; bands count from 0, and -1 is none."""
    return tuple(str(getattr(stratum, part)) for part in by)


def seen(stratum: Stratum) -> int:
    """Its tokens, as often as they are to be repeated."""
    return stratum.tokens * stratum.repeats


def _shares(smooth: dict[tuple[str, ...], float], config: MixtureConfig) -> dict[tuple[str, ...], float]:
    """Named groups have their share, the others what is left of 1, both by their smoothed tokens inside."""
    owner = owners(config.weights, smooth, config.by, "mixture.weights")
    mass = {name: sum(smooth[g] for g in smooth if owner.get(g) == name) for name in {None, *config.weights}}
    rest = 1 - sum(config.weights.values())
    return {
        group: config.weights.get(owner.get(group, ""), rest) * value / mass[owner.get(group)] if value else 0.0
        for group, value in smooth.items()
    }
