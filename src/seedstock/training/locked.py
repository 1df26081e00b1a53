"""Parameters that a run leaves as they are: no gradient is made for them, and no optimizer knows them."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn

from seedstock.errors import RecipeError, nearest
from seedstock.training.optimizers.groups import trained


def lock(nets: nn.ModuleDict, patterns: Sequence[str]) -> int:
    """Locks what is named (``net.name``) as one of ``patterns``, and returns how many numbers that are.

    Raises RecipeError where a pattern fits nothing, and where nothing would be left to learn.
    """
    parameters, _ = trained(nets) if patterns else ({}, {})
    chosen = set()
    for pattern in patterns:
        own = {name for name in parameters if fnmatchcase(name, pattern)}
        if not own:
            what, close = f"no parameter is named like {pattern!r}", nearest(pattern, parameters)
            fix = f"parameters are named like {close or next(iter(parameters))!r}; * stands for anything"
            raise RecipeError(what, where="training.locked", fix=fix)
        chosen |= own
    if chosen and len(chosen) == len(parameters):
        what = "every parameter is locked, and nothing is left to learn"
        raise RecipeError(what, where="training.locked", fix="lock fewer of them")
    return sum(parameters[name].requires_grad_(False).numel() for name in chosen)
