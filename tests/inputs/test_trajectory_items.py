"""Episodes cut into windows: every step once, returns to go, and named reasons for what cannot be cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedstock.corpus.media.types import Undecodable
from seedstock.corpus.sources.episodes import pack
from seedstock.inputs.items.config import Document
from seedstock.inputs.items.trajectories import TrajectoriesConfig


def episode(count, **others):
    rng = np.random.default_rng(count)
    found = {"observations": rng.normal(size=(count + 1, 3)), "actions": rng.normal(size=(count, 2))}
    return {**found, "rewards": rng.normal(size=count), **others}


def cut(config, arrays):
    return list(config.items(Document(pack({k: v for k, v in arrays.items() if v is not None}), "", "", {})))


@given(st.integers(1, 60), st.integers(1, 12))
def test_every_step_is_in_one_window_with_the_rewards_still_to_come(count, steps):
    config = TrajectoriesConfig(steps=steps, observation=3, action=2)
    arrays = episode(count)
    seen, returns, at = [], [], 0
    for item in cut(config, arrays):
        assert {name: (one.dtype, one.shape) for name, one in item.items()} == {
            name: (np.dtype(field.dtype), field.shape) for name, field in config.fields().items()
        }
        length = int(item["length"])
        assert int(item["first"]) == at and 0 < length <= steps
        assert not item["observations"][length:].any() and not item["actions"][length:].any()
        seen.append(item["observations"][:length])
        returns.append(item["returns"][:length])
        at += length
    np.testing.assert_array_equal(np.concatenate(seen), arrays["observations"][:-1].astype("f4"))
    wanted = [arrays["rewards"][step:].sum() for step in range(count)]
    np.testing.assert_allclose(np.concatenate(returns), wanted, rtol=1e-4, atol=1e-5)


@given(st.integers(1, 60), st.integers(1, 12), st.data())
def test_windows_that_overlap_cover_every_step(count, steps, data):
    every = data.draw(st.integers(1, steps))
    items = cut(TrajectoriesConfig(steps=steps, every=every, observation=3, action=2), episode(count))
    covered = {int(one["first"]) + step for one in items for step in range(int(one["length"]))}
    assert covered == set(range(count))


@pytest.mark.parametrize(
    ("changes", "options", "reason"),
    [
        ({"rewards": None}, {}, "without rewards"),
        ({}, {"observation": 4}, "3 numbers are seen at a step, not 4"),
        ({}, {"action": 1}, "2 numbers are done at a step, not 1"),
        ({}, {"discrete": True}, "no numbers of actions"),
        ({"actions": np.array([0, 5, 1])}, {"discrete": True}, "action 5 is not one of 2, from 0 on"),
        ({"rewards": np.full(3, -1.0)}, {"at_least": 0.5}, "it returns -3, less than 0.5"),
        ({"rewards": np.full(3, np.nan)}, {}, "not finite"),
        ({"rewards": np.full(3, 1e300)}, {}, "not finite as float32"),
        ({"observations": np.full((3, 3), 1e200)}, {}, "not finite as float32"),
        ({"observations": np.array([["a", "b", "c"]] * 3)}, {}, "observations holds str32"),
        ({"observations": np.ones((3, 3), complex)}, {}, "observations holds complex128"),
        ({"observations": np.ones((3, 0))}, {}, "0 numbers are seen at a step, not 3"),
        ({"actions": np.ones((3, 0))}, {}, "0 numbers are done at a step, not 2"),
        ({"actions": np.array(["go"] * 3)}, {}, "actions holds str64"),
        ({"rewards": np.ones(2)}, {}, "no real numbers for 3 steps"),
        ({"actions": np.array([-1, 0, 1])}, {"discrete": True}, "action -1 is not one of 2"),
    ],
)
def test_what_cannot_be_cut_is_named(changes, options, reason):
    config = TrajectoriesConfig(**{"steps": 2, "observation": 3, "action": 2, **options})
    with pytest.raises(Undecodable, match=reason):
        cut(config, episode(3, **changes))


def test_damaged_bytes_are_named():
    with pytest.raises(Undecodable, match="npz"):
        list(TrajectoriesConfig(observation=1, action=1).items(Document(b"no zip", "", "", {})))


def test_without_returns_an_episode_needs_no_rewards():
    config = TrajectoriesConfig(steps=2, observation=3, action=2, returns=False)
    assert "returns" not in config.fields() and len(cut(config, episode(3, rewards=None))) == 2


def test_parts_of_what_is_seen_lie_side_by_side():
    seen = {"observations/b": np.ones((4, 2)), "observations/a": np.zeros((4, 2, 1)), "observations": None}
    (item,) = cut(TrajectoriesConfig(steps=3, observation=4, action=2), episode(3, **seen))
    assert item["observations"].tolist() == [[0, 0, 1, 1]] * 3
