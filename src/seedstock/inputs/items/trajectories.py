"""Episodes as windows of steps: what was seen, what was done, and the rewards that were still to come."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field as Given

from seedstock.corpus.media.types import Undecodable
from seedstock.corpus.sources.episodes import REAL, Arrays, Broken, unpack
from seedstock.inputs.items.config import Document, Field, InputConfig, Item

Positive = Annotated[int, Given(gt=0)]


class TrajectoriesConfig(InputConfig):
    """Windows of ``steps`` steps of an episode, one every ``every`` steps; the last one is filled up with zeros.

    ``observations`` float32 ``[steps, observation]`` (several arrays of one step side by side, in the order of their
    names, each flat), ``actions`` float32 ``[steps, action]``, or int32 ``[steps]`` below ``action`` where they are
    ``discrete``; ``returns`` float32 ``[steps]``: the sum of the rewards from each step to the episode's end (the
    returns-to-go of Chen et al. 2021); ``first`` int32, the number of the window's first step in its episode;
    ``length`` int32, how many steps are real. Without ``returns`` episodes need no rewards. Episodes that return less
    than ``at_least`` are left out.
    """

    media: ClassVar[str | None] = "application/x-npz"
    modality: ClassVar[str] = "trajectory"
    unit: ClassVar[str] = "windows"

    kind: Literal["trajectories"] = "trajectories"
    steps: Annotated[int, Given(gt=0, le=4096)] = 20
    every: Positive | None = Given(default=None, description="steps from one window to the next; steps by default")
    observation: Positive = Given(description="numbers that are seen at a step")
    action: Positive = Given(description="numbers that are done at a step, or how many actions there are to choose")
    discrete: bool = False
    returns: bool = True
    at_least: float | None = None
    label: None = None

    def fields(self) -> dict[str, Field]:
        """``observations``, ``actions``, ``returns`` where they are asked for, ``first``, ``length``."""
        actions = Field("<i4", (self.steps,)) if self.discrete else Field("<f4", (self.steps, self.action))
        found = {"observations": Field("<f4", (self.steps, self.observation)), "actions": actions}
        found |= {"returns": Field("<f4", (self.steps,))} if self.returns else {}
        return {**found, "first": Field("<i4"), "length": Field("<i4")}

    def items(self, document: Document, tokenizer: object = None) -> Iterator[Item]:
        """Its windows, in order. Raises Undecodable for an episode without rewards where returns are asked for, and for
        one of other sizes."""
        if document.media is None:
            return
        try:
            episode = unpack(document.media)
        except Broken as error:
            raise Undecodable(str(error)) from error
        whole = self._whole(episode)
        count, step = len(whole["actions"]), self.every or self.steps
        for first in range(0, max(1, count - self.steps + step), step):
            length = min(self.steps, count - first)
            if length <= 0:
                return
            item = {name: _filled(array[first : first + length], self.steps) for name, array in whole.items()}
            yield {**item, "first": np.array(first, "<i4"), "length": np.array(length, "<i4")}

    def _whole(self, episode: Arrays) -> Arrays:
        """The fields over a whole episode."""
        actions = np.asarray(episode.get("actions", ()))
        count = len(actions)
        if not count:
            raise Undecodable("an episode without steps")
        names = [name for name in sorted(episode) if name.partition("/")[0] == "observations"]
        seen = [_flat(name, episode[name][:count], count) for name in names]
        observations = np.concatenate(seen, axis=1) if seen else np.zeros((count, 0), "<f4")
        if observations.shape[1] != self.observation:
            raise Undecodable(f"{observations.shape[1]} numbers are seen at a step, not {self.observation}")
        found = {"observations": observations, "actions": self._actions(_flat("actions", actions, count))}
        if self.returns or self.at_least is not None:
            if "rewards" not in episode:
                raise Undecodable("an episode without rewards: there is no return to go by (input.returns: false)")
            rewards = _flat("rewards", episode["rewards"], count).sum(axis=1)
            if self.at_least is not None and rewards.sum() < self.at_least:
                raise Undecodable(f"it returns {rewards.sum():g}, less than {self.at_least:g}")
            if self.returns:
                found["returns"] = rewards[::-1].cumsum()[::-1]
        with np.errstate(over="ignore"):  # what float32 cannot hold is not finite, and said below
            found = {name: one.astype("<f4") if one.dtype.kind == "f" else one for name, one in found.items()}
        if not all(np.isfinite(array).all() for array in found.values()):
            raise Undecodable("it has numbers that are not finite as float32")
        return found

    def _actions(self, flat: np.ndarray) -> np.ndarray:
        if not self.discrete:
            if flat.shape[1] != self.action:
                raise Undecodable(f"{flat.shape[1]} numbers are done at a step, not {self.action}")
            return flat
        if flat.shape[1] != 1 or (flat != np.round(flat)).any():
            raise Undecodable("its actions are no numbers of actions (input.discrete: false)")
        if (strange := flat[(flat < 0) | (flat >= self.action)]).size:
            raise Undecodable(f"action {strange[0]:g} is not one of {self.action}, from 0 on")
        return flat[:, 0].astype("<i4")


def _flat(name: str, array: np.ndarray, count: int) -> np.ndarray:
    """Float64 ``[count, numbers of a step]``."""
    if array.dtype.kind not in REAL or array.shape[:1] != (count,):
        raise Undecodable(f"{name} holds {array.dtype.name} {[*array.shape]}, and no real numbers for {count} steps")
    return array.reshape(count, math.prod(array.shape[1:])).astype(np.float64)


def _filled(array: np.ndarray, steps: int) -> np.ndarray:
    """With zeros behind it."""
    return np.pad(array, [(0, steps - len(array)), *[(0, 0)] * (array.ndim - 1)])
