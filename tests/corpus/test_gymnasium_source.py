"""Episodes that a scripted player makes: the same every time, better with more skill, all on record."""

from __future__ import annotations

import sys

import pytest
from pydantic import ValidationError

from seedstock.corpus.sources.episodes import unpack
from seedstock.corpus.sources.gymnasium_worlds import GymnasiumWorlds
from seedstock.errors import DataError

library = pytest.importorskip("gymnasium")


def items(**options):
    source = GymnasiumWorlds(name="played", licence="CC0-1.0", **{"episodes": 12, "world": "CartPole-v1", **options})
    return [item for part in source.partitions() for item in source.read(part)]


@pytest.mark.parametrize("world", ["CartPole-v1", "Pendulum-v1"])
def test_the_same_settings_give_the_same_bytes_and_another_seed_others(world):
    once, again, other = items(world=world, episodes=3), items(world=world, episodes=3), items(world=world, seed=2)
    assert [one.media for one in once] == [one.media for one in again]
    assert not {one.media for one in once} & {one.media for one in other}


@pytest.mark.parametrize("world", ["CartPole-v1", "Pendulum-v1"])
def test_skill_pays(world):
    mean = {
        skill: sum(one.meta["return"] for one in items(world=world, skills=(skill, skill))) / 12
        for skill in (0.0, 0.6, 1.0)
    }
    assert mean[0.0] < mean[0.6] < mean[1.0], mean


def test_an_episode_says_how_it_was_made():
    first, *_ = items(skills=(0.2, 0.3))
    arrays = unpack(first.media)
    assert first.meta["environment"] == "CartPole-v1" and first.meta["gymnasium"] == library.__version__
    assert 0.2 <= first.meta["skill"] <= 0.3 and first.meta["policy"].startswith("balance, skill 0.2")
    assert first.meta["steps"] == len(arrays["actions"]) == len(arrays["observations"]) == first.meta["return"]
    assert first.meta["terminated"] != first.meta["truncated"]


GRIDS = ["MiniGrid-Empty-5x5-v0", "MiniGrid-DoorKey-5x5-v0", "MiniGrid-LavaCrossingS9N1-v0"]


@pytest.mark.parametrize("world", GRIDS)
def test_who_knows_the_way_through_a_grid_is_at_its_end_sooner(world):
    pytest.importorskip("minigrid")
    half, whole = (items(world=world, episodes=4, skills=(skill, skill)) for skill in (0.5, 1.0))
    assert all(one.meta["terminated"] and one.meta["return"] > 0.9 for one in whole)
    assert sum(one.meta["return"] for one in half) < sum(one.meta["return"] for one in whole)


def test_what_is_said_of_a_grid_is_the_text_and_what_is_seen_are_arrays():
    grid = pytest.importorskip("minigrid")
    once, again = (items(world="MiniGrid-DoorKey-5x5-v0", episodes=2, skills=(0.5, 0.5)) for _ in range(2))
    assert [one.media for one in once] == [one.media for one in again] and once[0].media != once[1].media
    first, steps = unpack(once[0].media), once[0].meta["steps"]
    assert once[0].text == "use the key to open the door and then get to the goal"
    assert first["observations/image"].shape == (steps, 7, 7, 3) and first["observations/direction"].shape == (steps,)
    assert once[0].meta["minigrid"] == grid.__version__


def test_a_world_that_the_library_does_not_have_is_refused_by_name():
    pytest.importorskip("minigrid")
    with pytest.raises(DataError, match="no world MiniGrid-Empty-3000-v9"):
        items(world="MiniGrid-Empty-3000-v9")


def test_a_library_that_is_missing_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "minigrid", None)
    with pytest.raises(DataError, match="minigrid is not installed") as caught:
        items(world="MiniGrid-Empty-5x5-v0")
    assert "seedstock[worlds]" in str(caught.value)


def test_a_world_without_a_player_is_refused_by_name():
    with pytest.raises(ValidationError, match="no player of Chess-v0"):
        GymnasiumWorlds(name="x", world="Chess-v0", episodes=1)
