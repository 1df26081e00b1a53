"""A player of MiniGrid's worlds with a green square: the shortest way there, through doors and past their keys."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

LEFT, RIGHT, FORWARD, PICK_UP, TOGGLE, NOTHING = 0, 1, 2, 3, 5, 6  # as MiniGrid counts actions
AHEAD = ((1, 0), (0, 1), (-1, 0), (0, -1))  # by the direction that the agent faces

Pose = tuple[int, int, int]
"""Where the agent stands (x, y), and the direction that it faces."""


def seek(seen: Any, world: Any) -> int:
    """The next thing to do on the shortest way: to the goal, else to a door that can be opened, else to what can be
    picked up. It reads the whole grid, not what is seen. Where there is no way it does nothing."""
    state = world.unwrapped
    grid, held = state.grid, state.carrying
    start = (int(state.agent_pos[0]), int(state.agent_pos[1]), int(state.agent_dir))

    def at(x: int, y: int) -> Any:
        return grid.get(x, y) if 0 <= x < grid.width and 0 <= y < grid.height else None

    def faced(pose: Pose) -> Any:
        return at(pose[0] + AHEAD[pose[2]][0], pose[1] + AHEAD[pose[2]][1])

    def opens(pose: Pose) -> bool:
        found = faced(pose)
        fits = found is not None and found.type == "door" and not found.is_open
        return fits and (not found.is_locked or (held is not None and (held.type, held.color) == ("key", found.color)))

    def takes(pose: Pose) -> bool:
        found = faced(pose)
        return held is None and found is not None and bool(found.can_pickup())

    def arrives(pose: Pose) -> bool:
        found = at(pose[0], pose[1])
        return found is not None and found.type == "goal"

    aims: tuple[tuple[Callable[[Pose], bool], int], ...] = ((arrives, NOTHING), (opens, TOGGLE), (takes, PICK_UP))
    for fits, then in aims:
        first = _first(start, fits, at)
        if first is not None:
            return then if first < 0 else first
    return NOTHING


def _first(start: Pose, fits: Callable[[Pose], bool], at: Callable[[int, int], Any]) -> int | None:
    """The first action of the shortest way to a pose that fits, -1 where the agent is in one, None without a way."""
    queue, seen = deque([(start, -1)]), {start}
    while queue:
        (x, y, facing), first = queue.popleft()
        if fits((x, y, facing)):
            return first
        ahead = x + AHEAD[facing][0], y + AHEAD[facing][1]
        steps = [(LEFT, (x, y, (facing - 1) % 4)), (RIGHT, (x, y, (facing + 1) % 4))]
        there = at(*ahead)
        if there is None or (there.can_overlap() and there.type != "lava"):
            steps.append((FORWARD, (*ahead, facing)))
        for action, pose in steps:
            if pose not in seen:
                seen.add(pose)
                queue.append((pose, action if first < 0 else first))
    return None
