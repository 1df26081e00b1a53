"""Whole shares of a total, in proportion to weights and never above caps."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction


def apportion(total: int, weights: Sequence[float], caps: Sequence[int]) -> list[int]:
    """Largest-remainder shares of ``total``; what a cap cuts off the others get, in the same proportion.

    Exact rational arithmetic: the same on every machine. The shares come to ``total``. Raises ValueError where those
    with a weight above zero have not that much.
    """
    found, exact = [0] * len(weights), [Fraction(weight) for weight in weights]
    open_ = [at for at, weight in enumerate(exact) if weight > 0 and caps[at] > 0]
    if total > sum(caps[at] for at in open_):
        raise ValueError(f"{total} are asked for, and there are {sum(caps[at] for at in open_)}")
    room = total
    while True:
        whole = sum(exact[at] for at in open_)
        full = {at for at in open_ if exact[at] * room >= caps[at] * whole}
        if not full:
            break
        for at in full:
            found[at] = caps[at]
            room -= caps[at]
        open_ = [at for at in open_ if at not in full]
    if open_:
        share = {at: exact[at] * room / whole for at in open_}
        for at in open_:
            found[at] = int(share[at])
        left = room - sum(found[at] for at in open_)
        for at in sorted(open_, key=lambda at: (found[at] - share[at], at))[:left]:
            found[at] += 1
    return found
