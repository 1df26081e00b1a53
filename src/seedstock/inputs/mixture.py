"""Weights of the strata from the recipe's ``mixture``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from seedstock.errors import DataError, nearest

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
        groups.setdefault(tuple(getattr(stratum, part) for part in config.by), []).append(stratum)
    smooth = {group: sum(map(_seen, members)) ** (1 / config.temperature) for group, members in groups.items()}
    shares = _shares(smooth, config)
    total = sum(shares.values())
    if not total > 0:
        raise DataError("every stratum has a weight of 0", where="mixture.weights", fix="give one a share")
    result = {}
    for group, members in groups.items():
        tokens = sum(map(_seen, members))
        for s in members:
            # Twelve digits: powers differ in the last bit between machines, and a plan must not.
            result[s.stratum] = float(f"{shares[group] / total * _seen(s) / max(tokens, 1):.12g}")
    return dict(sorted(result.items()))


def _seen(stratum: Stratum) -> int:
    return stratum.tokens * stratum.repeats


def _shares(smooth: dict[tuple[str, ...], float], config: MixtureConfig) -> dict[tuple[str, ...], float]:
    """Named groups have their share, the others what is left of 1, both by their smoothed tokens inside."""
    owner: dict[tuple[str, ...], str] = {}
    for name in config.weights:
        found = [group for group in smooth if _matches(name, group)]
        if not found:
            known = ["/".join(group) for group in smooth]
            close = nearest(name, known)
            advice = f"did you mean {close!r}? " if close else ""
            raise DataError(
                f"mixture.weights names {name!r}, which is no group of {'/'.join(config.by)}",
                fix=f"{advice}Groups: {', '.join(known)}",
            )
        for group in found:
            if group in owner:
                raise DataError(
                    f"mixture.weights names {'/'.join(group)} twice: {owner[group]!r} and {name!r}",
                    fix="let every group have one weight",
                )
            owner[group] = name
    mass = {name: sum(smooth[g] for g in smooth if owner.get(g) == name) for name in {None, *config.weights}}
    rest = 1 - sum(config.weights.values())
    return {
        group: config.weights.get(owner.get(group, ""), rest) * value / mass[owner.get(group)] if value else 0.0
        for group, value in smooth.items()
    }


def _matches(name: str, group: tuple[str, ...]) -> bool:
    parts = name.split("/")
    return len(parts) <= len(group) and all(part in ("*", own) for part, own in zip(parts, group, strict=False))
