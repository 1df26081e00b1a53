"""Generated episodes: a scripted player of mixed skill in a world of gymnasium or minigrid."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from hashlib import blake2b
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from seedstock.config import Count, Fraction
from seedstock.corpus.media.types import NPZ
from seedstock.corpus.sources.base import Item, Partition, Source, Unreadable
from seedstock.corpus.sources.episodes import check, leaves, pack
from seedstock.corpus.sources.players import PLAYERS, player
from seedstock.corpus.sources.worlds import libraries, make

_PIECE = 100  # episodes of a partition


class GymnasiumWorlds(Source):
    """``episodes`` of ``world``, a document each: its arrays as ``trajectories`` has them.

    In each a scripted player does what it knows to be right with a probability, its ``skill``, drawn evenly from
    ``skills`` for the episode, and else anything at random. World, versions of its libraries, player, skill and seed
    are in each document's meta, with steps and return; a mission is the document's text. The same settings under the
    same versions give the same episodes.
    """

    version: ClassVar[int] = 1
    kind: Literal["gymnasium"] = "gymnasium"
    world: str = "CartPole-v1"
    episodes: Annotated[Count, Field(ge=1)]
    skills: tuple[Fraction, Fraction] = (0.0, 1.0)
    seed: int = 1
    domain: str | None = "trajectories"
    acquisition: str | None = "generated: a scripted player in a simulated world; player, skill, seed in each meta"

    @model_validator(mode="after")
    def _known(self) -> Self:
        if player(self.world) is None:
            known = ", ".join(f"{name}…" if name.startswith("MiniGrid") else name for name in sorted(PLAYERS))
            raise ValueError(f"there is no player of {self.world}; worlds with one: {known} (or record episodes)")
        if self.skills[0] > self.skills[1]:
            raise ValueError(f"skills go from {self.skills[0]:g} to {self.skills[1]:g}: the lower one first")
        return self

    def partitions(self) -> list[Partition]:
        from seedstock.ledger.ids import digest

        versions = [library.__version__ for library in libraries(self.world).values()]
        mark = digest([*versions, self.world, self.episodes, list(self.skills), self.seed])
        firsts = range(0, self.episodes, _PIECE)
        return [Partition(f"{first // _PIECE:05}", mark, _PIECE * 4096, first) for first in firsts]

    def read(self, partition: Partition) -> Iterator[Item | Unreadable]:
        world, plays = make(self.world), player(self.world)
        versions = {name: library.__version__ for name, library in libraries(self.world).items()}
        about = {"generator": self.kind, "environment": self.world, **versions}
        try:
            for number in range(partition.payload, min(partition.payload + _PIECE, self.episodes)):
                key = blake2b(f"episodes/{self.world}/{self.seed}/{number}".encode(), digest_size=8).digest()
                rng = np.random.default_rng(int.from_bytes(key, "little"))
                skill = float(rng.uniform(*self.skills))
                arrays, mission = played(world, plays, skill, rng)
                policy = f"{plays.__name__}, skill {skill:.4f}"  # type: ignore[union-attr]
                meta = about | {"policy": policy, "skill": round(skill, 4), "seed": number} | check(arrays, True)
                yield Item(f"{self.seed}#{number}", text=mission, media_type=NPZ, media=pack(arrays), meta=meta)
        finally:
            world.close()


def played(world: Any, player: Any, skill: float, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], str]:
    """The arrays of one episode, the last observation left out, and what is seen first in words."""
    space = world.action_space
    seen, _ = world.reset(seed=int(rng.integers(2**31)))
    mission = " ".join(one for _, one in leaves(seen) if isinstance(one, str))
    rows: dict[str, list[Any]] = {name: [] for name in ("observations", "actions", "rewards")}
    terminated = truncated = False
    for _ in itertools.count():
        knows = rng.uniform() < skill
        if hasattr(space, "n"):
            action: Any = player(seen, world) if knows else int(rng.integers(space.n))
        else:
            action = player(seen, world) if knows else rng.uniform(space.low, space.high).astype(space.dtype)
        after, reward, terminated, truncated, _ = world.step(action)
        for name, value in zip(rows, (seen, action, reward), strict=True):
            rows[name].append(value)
        seen = after
        if terminated or truncated:
            break
    count = len(rows["actions"])
    last = np.arange(count) == count - 1
    return {
        **_stacked(rows["observations"]),
        "actions": np.stack([np.asarray(one) for one in rows["actions"]]),
        "rewards": np.array(rows["rewards"], "<f4"),
        "terminations": last & terminated,
        "truncations": last & truncated,
    }, mission


def _stacked(seen: list[Any]) -> dict[str, np.ndarray]:
    """What was seen at each step: one array, or ``observations/NAME`` where there are several; words are left out."""
    steps = [dict(leaves(one, "observations")) for one in seen]
    names = [name for name, value in steps[0].items() if not isinstance(value, str)]
    whole = {name: np.stack([np.asarray(one[name]) for one in steps]) for name in names}
    return {name: array.astype("<f4") if array.dtype.kind == "f" else array for name, array in whole.items()}
