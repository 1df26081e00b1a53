"""Playing worlds: what a player is handed at each step, and that the same seed gives the same episodes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seedstock.corpus.sources.players import balance
from seedstock.evaluation.play import play
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
