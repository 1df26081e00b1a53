"""Worlds of gymnasium by their names, those of other libraries among them."""

from __future__ import annotations

from typing import Any

from seedstock.corpus.sources.base import needs
from seedstock.errors import DataError

OTHERS = {"MiniGrid-": "minigrid", "BabyAI-": "minigrid"}
"""How the names of worlds begin that another library brings."""


def libraries(world: str) -> dict[str, Any]:
    """The modules that ``world`` comes from, by name. Raises DataError where one is not installed."""
    names = ["gymnasium", *(name for begin, name in OTHERS.items() if world.startswith(begin))]
    return {name: needs(name, name, "worlds") for name in names}


def make(world: str) -> Any:
    """A new world. Raises DataError where there is none of that name, or its library is not installed."""
    library = libraries(world)["gymnasium"]
    try:
        return library.make(world)
    except (library.error.Error, ImportError) as error:  # ImportError: a simulator that gymnasium does not bring
        raise DataError(f"no world {world}: {error}", fix="take one that gymnasium or minigrid has") from error
