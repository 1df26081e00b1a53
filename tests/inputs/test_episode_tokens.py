"""Episodes as tokens: bins by the mu-law, steps in their order, what cannot be used left out; and playing with them."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from seedstock.corpus.sources.episodes import pack
from seedstock.errors import RecipeError
from seedstock.inputs.episode_tokens import Episodes, EpisodeTokensConfig
from seedstock.inputs.items.config import TokensConfig

CHOICES = EpisodeTokensConfig(observation=2, action=3, discrete=True, returns=True, bins=16)
NUMBERS = EpisodeTokensConfig(observation=2, action=2, bins=8)


def writer(config):
    return Episodes(config, {name: 50 + number for number, name in enumerate(config.specials())})


@given(arrays.arrays(np.float64, st.integers(2, 20), elements=st.floats(-1e4, 1e4)))
def test_bins_keep_the_order_of_numbers_and_hold_all_of_them(numbers):
    found = CHOICES.binned(np.sort(numbers))
    assert (np.diff(found) >= 0).all() and found.min() >= 0 and found.max() < 16
    assert CHOICES.binned(np.array([-256.0, 256.0])).tolist() == [0, 15], "the largest are at the ends"


def test_the_law_is_that_of_the_paper():
    """Reed et al. 2022, appendix B: mu 100, 256 goes to 1; 1,024 bins."""
    config = EpisodeTokensConfig(observation=1, action=1)
    x = np.array([-3.0, 0.02, 40.0])
    expected = np.sign(x) * np.log(np.abs(x) * 100 + 1) / np.log(256 * 100 + 1)
    assert config.binned(x).tolist() == np.floor((expected + 1) / 2 * 1024).astype(int).tolist()
    done = np.array([-1.0, -0.3, 0.999])
    assert np.abs(config.middles(config.binned(done, law=False)) - done).max() <= 1 / 1024


def test_steps_are_written_in_their_order():
    own = writer(CHOICES)
    episode = {"observations": np.array([[0.0, 1], [2, -3]], "<f4"), "actions": np.array([2, 0]), "rewards": [1.0, 4.0]}
    (tokens,), broken = own.written([b"x"], [np.array([7, 8])], [pack({k: np.asarray(v) for k, v in episode.items()})])
    assert not broken and tokens[:2].tolist() == [7, 8], "the text comes first"
    rows = tokens[2:].reshape(2, CHOICES.step).astype(int)
    assert (rows[:, 3] == own.acts).all()
    assert (rows[:, 4] - own.first["act"]).tolist() == [2, 0]
    assert (rows[:, 0] - own.first["return"]).tolist() == CHOICES.binned(np.array([5.0, 4.0])).tolist()
    assert (rows[:, 1:3] - own.first["seen"]).tolist() == CHOICES.binned(episode["observations"]).tolist()
    whole = {"observations": np.zeros((3, 2), "<f4"), "actions": np.array([[-1, 1], [0, 0], [5, -5]], "<f4")}
    (tokens,), _ = writer(NUMBERS).written([b"x"], [np.zeros(0, int)], [pack(whole)])
    done = tokens.reshape(3, NUMBERS.step)[:, 3:].astype(int) - writer(NUMBERS).first["act"]
    assert done.tolist() == [[0, 7], [4, 4], [7, 0]], "what is beyond is cut off"


@pytest.mark.parametrize(
    "episode",
    [
        {"observations": np.zeros((4, 2), "<f4"), "actions": np.zeros(4, int)},  # no rewards, and returns are asked for
        {"observations": np.zeros((4, 3), "<f4"), "actions": np.zeros(4, int), "rewards": np.ones(4)},
        {"observations": np.zeros((4, 2), "<f4"), "actions": np.full(4, 3), "rewards": np.ones(4)},
        {"observations": np.full((4, 2), np.nan, "<f4"), "actions": np.zeros(4, int), "rewards": np.ones(4)},
        b"no episode",
    ],
)
def test_what_cannot_be_used_leaves_its_text(episode):
    if isinstance(episode, dict):
        stream = io.BytesIO()
        np.savez(stream, **episode)
        episode = stream.getvalue()
    found, broken = writer(CHOICES).written([b"x"] * 2, [np.array([7]), np.array([8])], [episode, None])
    assert [one.tolist() for one in found] == [[7], [8]] and broken == [0]


def test_only_one_kind_of_media_is_read():
    with pytest.raises(ValueError, match="episodes: one kind of media"):
        TokensConfig(episodes=CHOICES, pictures={"run": "run:vq", "codes": 4})


def test_actions_are_asked_of_episodes_alone():
    pytest.importorskip("torch")
    from seedstock.objectives.base import Spec
    from seedstock.objectives.configs.action_tokens import ActionTokensConfig

    with pytest.raises(RecipeError, match="no episodes as tokens"):
        ActionTokensConfig().build(Spec(vocab_size=300, context=16, specials={"bos": 0, "eos": 1}))


@pytest.mark.parametrize(("world", "config"), [("CartPole-v1", (4, 2, True)), ("Pendulum-v1", (3, 1, False))])
def test_worlds_are_played_by_a_decoder(world, config):
    pytest.importorskip("gymnasium")
    from seedstock.evaluation.play_tokens import play
    from seedstock.models.configs.decoder import DecoderConfig

    seen, done, discrete = config
    tokens = EpisodeTokensConfig(observation=seen, action=done, discrete=discrete, returns=discrete, bins=8)
    own = Episodes(tokens, {name: 2 + number for number, name in enumerate(("bos", *tokens.specials()))})
    network = DecoderConfig(shape="gpt2", width=16, layers=1, heads=2, context=2 * tokens.step).build(64, seed=1)
    options = {"target": 100, "episodes": 3, "seed": 4}
    first = play(network, own, world, **options)
    assert first.shape == (3,) and np.isfinite(first).all() and json.dumps(first.tolist())
    assert np.array_equal(first, play(network, own, world, **options)), "the same seed plays the same"
