"""Data sets that minari wrote here, in both of its formats: the episodes that went in come out."""

from __future__ import annotations

import numpy as np
import pytest

from seedstock.corpus.sources.base import Unreadable
from seedstock.corpus.sources.episodes import unpack
from seedstock.corpus.sources.gymnasium_worlds import GymnasiumWorlds
from seedstock.corpus.sources.minari_sets import Minari
from seedstock.corpus.sources.trajectories import Trajectories
from seedstock.errors import DataError

minari = pytest.importorskip("minari")
spaces = pytest.importorskip("gymnasium").spaces
MISSION = "get to the green goal square"


@pytest.fixture(scope="module")
def episodes():
    """Of a grid, as they were played."""
    pytest.importorskip("minigrid")
    source = GymnasiumWorlds(name="grid", world="MiniGrid-Empty-5x5-v0", episodes=3, skills=(0.5, 0.5))
    return [unpack(item.media) for item in source.read(source.partitions()[0])]


@pytest.fixture(scope="module", params=["hdf5", "arrow"])
def folder(request, tmp_path_factory, episodes):
    """Of data sets, where one is grid/played-v0."""
    from minari.data_collector.episode_buffer import EpisodeBuffer

    place = tmp_path_factory.mktemp(request.param)
    seen = {
        "direction": spaces.Discrete(4),
        "image": spaces.Box(0, 255, (7, 7, 3), np.uint8),
        "mission": spaces.Text(99),
    }
    buffers = []
    for number, one in enumerate(episodes):
        observations = {
            name: [*one[f"observations/{name}"], one[f"observations/{name}"][-1]] for name in ("direction", "image")
        }
        observations["mission"] = [MISSION] * len(observations["image"])
        arrays = {name: list(one[name]) for name in ("actions", "rewards", "terminations", "truncations")}
        buffers.append(EpisodeBuffer(id=number, observations=observations, infos={}, **arrays))
    with pytest.MonkeyPatch.context() as patch, pytest.warns(UserWarning):
        patch.setenv("MINARI_DATASETS_PATH", str(place))
        options = {
            "action_space": spaces.Discrete(7),
            "observation_space": spaces.Dict(seen),
            "data_format": request.param,
        }
        minari.create_dataset_from_buffers("grid/played-v0", buffer=buffers, algorithm_name="seek", **options)
    return place


def items(source):
    return [item for part in source.partitions() for item in source.read(part)]


def test_what_was_recorded_comes_out(folder, episodes):
    found = items(Minari(name="grid", dataset="grid/played-v0", folder=str(folder)))
    assert [one.locator for one in found] == [f"grid/played-v0#{number}" for number in range(3)]
    for item, one in zip(found, episodes, strict=True):
        arrays = unpack(item.media)
        assert sorted(arrays) == sorted(one) and item.text == MISSION
        for name in one:
            assert np.array_equal(arrays[name][: len(one["actions"])], one[name]), name
        assert item.meta["dataset"] == "grid/played-v0" and item.meta["algorithm"] == "seek"


def test_minaris_own_folder_is_where_it_is_looked_for(folder, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(folder))
    source = Minari(name="grid", dataset="grid/played-v0")
    assert len(items(source)) == 3 and source.fingerprint() == source.fingerprint()


def test_a_file_of_its_own_gives_the_same_episodes_without_minari(folder):
    if not (files := list(folder.rglob("main_data.hdf5"))):
        pytest.skip("Arrow is read by minari alone")
    by_file = items(Trajectories(name="grid", path=str(files[0])))
    by_name = items(Minari(name="grid", dataset="grid/played-v0", folder=str(folder)))
    assert [(one.media, one.text) for one in by_file] == [(one.media, one.text) for one in by_name]


def test_a_damaged_episode_goes_to_quarantine_alone(folder, tmp_path):
    import shutil

    shutil.copytree(folder, tmp_path / "copy")
    if not (parts := sorted((tmp_path / "copy").rglob("1/part-0.arrow"))):
        pytest.skip("one file holds all")
    parts[0].write_bytes(b"nothing")
    found = items(Minari(name="grid", dataset="grid/played-v0", folder=str(tmp_path / "copy")))
    assert [isinstance(one, Unreadable) for one in found] == [False, True, False]
    assert found[1].reason.startswith("damaged")


def test_a_data_set_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="no such file or folder"):
        items(Minari(name="grid", dataset="grid/other-v0", folder=str(tmp_path)))
    (tmp_path / "grid/other-v0/data").mkdir(parents=True)
    (tmp_path / "grid/other-v0/data/main_data.hdf5").write_bytes(b"nothing")
    with pytest.raises(DataError, match="no data set of Minari"):
        items(Minari(name="grid", dataset="grid/other-v0", folder=str(tmp_path)))
