"""Playing worlds: what a player is handed at each step, and that the same seed gives the same episodes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seedstock.corpus.sources.gymnasium_worlds import GymnasiumWorlds
from seedstock.corpus.sources.players import balance
from seedstock.errors import DataError
from seedstock.evaluation.play import play
from seedstock.inputs.items.config import Document
from seedstock.inputs.items.trajectories import TrajectoriesConfig
from seedstock.models.configs.trajectory import TrajectoryConfig
from seedstock.objectives.base import Spec, assemble
from seedstock.objectives.configs.decision import DecisionConfig
from seedstock.objectives.decision import Decision

pytest.importorskip("gymnasium")
SIZES = {"steps": 5, "width": 16, "layers": 1, "heads": 1, "longest": 20}


def made(kind=Decision, **options):
    model = TrajectoryConfig(**SIZES, **options).resolved()
    objective = kind(DecisionConfig(squash=False), Spec(vocab_size=0, context=15, model=model))
    return assemble(model.build(), objective), objective


class Knows(Decision):
    """Plays as the scripted player does, and keeps what it is handed."""

    def inputs(self, nets, batch):
        self.handed = [*getattr(self, "handed", []), batch]
        return super().inputs(nets, batch)

    def actions(self, nets, hidden):
        seen = self.handed[-1]["observations"]
        chosen = [[balance(one, None) for one in row.tolist()] for row in seen]
        return torch.nn.functional.one_hot(torch.tensor(chosen), 2).float() * 100


def test_a_player_that_knows_is_asked_for_less_with_every_reward():
    nets, objective = made(Knows, observation=4, action=2, discrete=True)
    returns = play(nets, objective, "CartPole-v0", target=300, episodes=2)
    assert returns.tolist() == [200, 200]
    for step, batch in enumerate(objective.handed):
        length = min(step + 1, 5)
        assert batch["observations"].shape == (2, length, 4) and (batch["first"] == max(0, step - 4)).all()
        wanted = 300.0 - torch.arange(max(0, step - 4), step + 1)
        assert torch.equal(batch["returns"], wanted.float().expand(2, -1))
        done = [[balance(one, None) for one in row.tolist()] for row in batch["observations"][:, :-1]]
        assert torch.equal(batch["actions"][:, :-1], torch.tensor(done, dtype=torch.int64).reshape(2, length - 1))


@pytest.mark.parametrize("greedy", [False, True])
def test_the_same_seed_gives_the_same_episodes(greedy):
    nets, objective = made(observation=4, action=2, discrete=True)
    once, again, other = (
        play(nets, objective, "CartPole-v0", episodes=6, seed=seed, greedy=greedy) for seed in (1, 1, 2)
    )
    assert once.tolist() == again.tolist() and (once >= 1).all()
    assert greedy or once.tolist() != other.tolist()


def test_actions_that_are_numbers_stay_inside_of_the_bounds():
    nets, objective = made(observation=3, action=1)
    with torch.no_grad():
        nets["doing"].out.bias.fill_(50.0)  # far outside
    returns = play(nets, objective, "Pendulum-v1", episodes=2)
    assert np.isfinite(returns).all() and (returns < 0).all()


def test_what_is_seen_of_a_grid_is_what_its_episodes_hold():
    pytest.importorskip("minigrid")
    world, source = "MiniGrid-Empty-5x5-v0", {"name": "x", "episodes": 1, "skills": (1, 1)}
    made_of = GymnasiumWorlds(world=world, **source)
    (item,) = made_of.read(made_of.partitions()[0])
    config = TrajectoriesConfig(steps=5, observation=148, action=7, discrete=True)
    (window,) = config.items(Document(item.media, "", "", {}))

    class Follows(Decision):
        """Does what the episode does, and keeps what it is handed."""

        def inputs(self, nets, batch):
            self.seen = batch["observations"]
            return super().inputs(nets, batch)

        def actions(self, nets, hidden):
            wanted = torch.from_numpy(window["actions"][: self.seen.shape[1]]).long()
            return torch.nn.functional.one_hot(wanted, 7).float()[None].expand(len(self.seen), -1, -1) * 100

    nets, objective = made(Follows, observation=148, action=7, discrete=True)
    returns = play(nets, objective, world, episodes=1)
    assert returns == pytest.approx([item.meta["return"]])
    assert np.array_equal(objective.seen[0].numpy(), window["observations"])


def test_another_world_than_the_episodes_are_from_is_refused():
    nets, objective = made(observation=4, action=2, discrete=True)
    with pytest.raises(DataError, match=r"3 numbers to see and 1 numbers to do.*4 numbers to see and a choice of 2"):
        play(nets, objective, "Pendulum-v1", episodes=1)
