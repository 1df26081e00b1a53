"""Episodes that a scripted player makes: the same every time, better with more skill, all on record."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from seedstock.corpus.sources.episodes import unpack
from seedstock.corpus.sources.gymnasium_worlds import GymnasiumWorlds

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


def test_a_world_without_a_player_is_refused_by_name():
    with pytest.raises(ValidationError, match="no player of Chess-v0"):
        GymnasiumWorlds(name="x", world="Chess-v0", episodes=1)
