"""Scripted players of worlds: what a skilled hand would do, by the name of the world."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from seedstock.corpus.sources.grid_player import seek

Player = Callable[[Any, Any], Any]
"""(what is seen, the world) → what to do."""


def balance(seen: Any, world: Any) -> int:
    """CartPole: push to where the pole falls, and a little to where the cart shall come back from."""
    place, speed, angle, turn = (float(one) for one in seen)
    return int(angle + 0.3 * turn + 0.02 * place + 0.08 * speed > 0)


def swing(seen: Any, world: Any) -> np.ndarray:
    """Pendulum: give it the energy that it has upright (Åström and Furuta 2000), and near there hold it."""
    up, side, turn = (float(one) for one in seen)
    if up > 0.9:
        push = -12.0 * math.atan2(side, up) - 3.0 * turn
    else:
        push = 2.0 * math.copysign(1.0, turn * (5.0 - turn**2 / 6 - 5.0 * up))
    return np.clip(np.array([push], np.float32), -2.0, 2.0)


PLAYERS: dict[str, Player] = {
    "CartPole-v0": balance,
    "CartPole-v1": balance,
    "Pendulum-v1": swing,
    "MiniGrid-Empty-": seek,
    "MiniGrid-DoorKey-": seek,
    "MiniGrid-FourRooms-": seek,
    "MiniGrid-MultiRoom-": seek,
    "MiniGrid-SimpleCrossing": seek,
    "MiniGrid-LavaCrossing": seek,
    "MiniGrid-LavaGap": seek,
}
"""By the world's name, or by how the names of several worlds begin."""


def player(world: str) -> Player | None:
    """The player of a world, where there is one."""
    return PLAYERS.get(world) or next((one for name, one in PLAYERS.items() if _several(name, world)), None)


def _several(name: str, world: str) -> bool:
    return name.startswith("MiniGrid-") and world.startswith(name)
