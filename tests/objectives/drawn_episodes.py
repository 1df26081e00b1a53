"""Small episodes that every machine can make: a point on a line is pushed towards the middle, well or badly."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from seedstock.corpus import Corpus, build
from seedstock.corpus.config import CorpusConfig
from seedstock.corpus.sources.episodes import pack
from seedstock.corpus.sources.trajectories import Trajectories
from seedstock.ledger.store import Store
from seedstock.progress import Silent

_KEPT: list[TemporaryDirectory] = []  # until the tests end


def episode(rng: np.random.Generator, discrete: bool, rewards: bool = True) -> dict[str, np.ndarray]:
    """Place, speed and the clock of 12 to 30 steps; a push of -1 or 1, or of anything between; less is lost near 0."""
    count, skill = int(rng.integers(12, 31)), rng.uniform()
    place, speed = rng.uniform(-1, 1), 0.0
    seen, done, got = [], [], []
    for step in range(count):
        push = -np.sign(place + 2 * speed) if rng.uniform() < skill else rng.choice([-1.0, 1.0])
        push = push if discrete else 0.6 * push + rng.uniform(-0.2, 0.2)
        seen.append([place, speed, step / 30])
        done.append(int(push > 0) if discrete else [push])
        speed += 0.1 * push
        place += speed
        got.append(1 / (1 + place**2))
    found = {"observations": np.array(seen, "<f4"), "actions": np.array(done, "<i8" if discrete else "<f4")}
    return found | ({"rewards": np.array(got, "<f4")} if rewards else {})


@cache
def tokens_of(config: Any) -> tuple[Any, Any]:
    """Tokenizer and shards of episodes as tokens, by a ``EpisodeTokensConfig``."""
    from seedstock.inputs.episode_tokens import Episodes
    from seedstock.inputs.shards import Shards
    from seedstock.inputs.tokenizers import Tokenizer
    from seedstock.inputs.tokenizers.config import BytesConfig
    from seedstock.inputs.tokenizers.train import train
    from seedstock.inputs.write import write

    corpus, store = drawn_episodes(config.discrete)
    options: dict[str, Any] = {"store": store, "reporter": Silent()}
    tokenizer = Tokenizer(train(BytesConfig(specials=config.specials()), corpus, seed=1, **options))
    return tokenizer, Shards(write(corpus, tokenizer, pictures=Episodes(config, tokenizer.specials), **options))


@cache
def drawn_episodes(discrete: bool, count: int = 320) -> tuple[Corpus, Store]:
    """A corpus of them."""
    _KEPT.append(TemporaryDirectory(prefix="episodes-"))
    folder, rng = Path(_KEPT[-1].name), np.random.default_rng(7)
    (folder / "episodes").mkdir()
    for number in range(count):
        (folder / "episodes" / f"{number:04d}.npz").write_bytes(pack(episode(rng, discrete)))
    store = Store(folder / "runs")
    config = CorpusConfig(policy="none", dedup=None, held_out=0.02)
    source = Trajectories(name="drawn", path=str(folder / "episodes"), licence="CC0-1.0")
    made = build.build([source], config, seed=1, key=b"k" * 32, store=store, reporter=Silent(), workers=1)
    return Corpus(made), store
