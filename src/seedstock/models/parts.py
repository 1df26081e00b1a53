"""A part of a network that begins with the weights of another run's: a tower, say (Zhai et al. 2022, LiT)."""

from __future__ import annotations

from typing import Any

from seedstock.errors import RecipeError
from seedstock.models.upcycle import copy

FREE = {"shape", "size", "context", "dropout", "initialisation", "init_std", "rope_base", "rope_scaling"}
"""What two configurations may differ in: names of presets, how weights began, and what a longer context changes."""


def take(own: Any, other: Any, part: str, name: str) -> None:
    """Gives ``own``, the ``part`` of a network, the weights of that part of ``other``, the network of the run ``name``;
    or of all of ``other`` where it is no network of parts.

    Raises RecipeError where they are not of one kind, or do not compute the same with the same weights.
    """
    where = f"training.start.{part}"
    if part in getattr(other.config, "towers", ()):
        other = getattr(other, part)
    ours, theirs = (one.config.model_dump() for one in (own, other))
    if ours["kind"] != theirs["kind"]:
        what = f"the {part} is of the kind {ours['kind']}, and what {name} trained of the kind {theirs['kind']}"
        raise RecipeError(what, where=where, fix=f"name a run whose model is of the kind {ours['kind']}")
    for key in ours:
        if key not in FREE and ours[key] != theirs[key]:
            what = f"the {part} has {key} {ours[key]}, and {name} has {theirs[key]}"
            raise RecipeError(what, where=where, fix=f"write model.{part}.{key}: {theirs[key]}")
    try:
        copy(other.state_dict(), own.state_dict())
    except RecipeError as error:  # learned positions of another number
        raise RecipeError(error.what, where=where, fix=f"give model.{part} the sizes of {name}") from None
