"""What a data plan comes to by group: how much of each is read, and how often."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from seedstock.inputs.mixture import group_of, seen

if TYPE_CHECKING:
    from seedstock.inputs.plan import DataPlan
    from seedstock.inputs.shards import Stratum


def realised(plan: DataPlan, strata: Iterable[Stratum], by: Sequence[str], examples: int) -> list[dict[str, Any]]:
    """For each group of ``by``, over the first ``examples`` examples of a plan.

    ``stored`` tokens and their share (``natural``); ``windows`` that are read, their tokens, their ``share`` of all
    tokens that are read, and in ``phases`` that of each segment; ``passes`` over the group; ``cap`` on passes (None:
    none; of a group with several, the largest).
    """
    starts = [start for start in plan.starts if start < examples]
    edges = [*starts, examples]
    exposed = [plan.exposure(edge) for edge in edges]
    counted = [{one.stratum: one.tokens for one in offered} for offered in exposed]
    windows = {one.stratum: one.examples for one in exposed[-1]}
    read = [sum(tokens.values()) for tokens in counted]
    groups: dict[tuple[str, ...], list[Stratum]] = {}
    for stratum in strata:
        groups.setdefault(group_of(stratum, by), []).append(stratum)
    everything = sum(seen(one) for members in groups.values() for one in members)
    found = []
    for group, members in sorted(groups.items()):
        at = [sum(counts.get(one.stratum, 0) for one in members) for counts in counted]
        stored = sum(one.tokens for one in members)
        caps = [plan.repeats.get(one.stratum, plan.max_repeats) for one in members]
        found.append(
            {
                "group": "/".join(group),
                "stored": stored,
                "natural": sum(map(seen, members)) / max(1, everything),
                "windows": sum(windows.get(one.stratum, 0) for one in members),
                "tokens": at[-1],
                "share": at[-1] / max(1, read[-1]),
                "phases": [
                    (after - before) / (stop - start)
                    for before, after, start, stop in zip(at, at[1:], read, read[1:], strict=False)
                ],
                "passes": at[-1] / max(1, stored),
                "cap": None if None in caps else max(cap for cap in caps if cap is not None),
            }
        )
    return found
