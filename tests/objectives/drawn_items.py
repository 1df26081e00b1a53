"""Small items that every machine can make, as a corpus gives them: pictures of shapes, with a class and a caption."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from seedstock.corpus import Corpus, build
from seedstock.corpus.config import CorpusConfig
from seedstock.corpus.sources.images import Images
from seedstock.inputs.items import write
from seedstock.inputs.shards import Shards
from seedstock.inputs.tokenizers import Tokenizer
from seedstock.inputs.tokenizers.config import BytesConfig
from seedstock.inputs.tokenizers.train import train
from seedstock.ledger.store import Store
from seedstock.progress import Silent

SHAPES = ("bar", "disc", "frame", "slope")
_KEPT: list[TemporaryDirectory] = []  # until the tests end


def shape(name: str, rng: np.random.Generator, size: int = 16) -> np.ndarray:
    """uint8 ``[size, size, 3]``: a shape somewhere, in two colours, with some noise."""
    y, x = np.mgrid[:size, :size] - rng.uniform(size * 0.3, size * 0.7, (2, 1, 1))
    radius = rng.uniform(0.15, 0.3) * size
    inside = {
        "bar": np.abs(y) < radius / 2,
        "disc": y**2 + x**2 < radius**2,
        "frame": np.abs(np.maximum(np.abs(y), np.abs(x)) - radius) < 1.2,
        "slope": y + x < 0,
    }[name]
    front, back = rng.uniform(0, 255, (2, 3))
    pixels = np.where(inside[..., None], front, back) + rng.normal(0, 8, (size, size, 3))
    return pixels.clip(0, 255).astype(np.uint8)


@cache
def drawn_corpus(count: int = 640) -> tuple[Corpus, Store]:
    """A corpus of drawn pictures, in folders by class; the name of the class is the text."""
    from PIL import Image

    _KEPT.append(TemporaryDirectory(prefix="drawn-"))
    folder, rng = Path(_KEPT[-1].name), np.random.default_rng(7)
    for number in range(count):
        name = SHAPES[number % len(SHAPES)]
        (folder / "drawn" / name).mkdir(parents=True, exist_ok=True)
        stream = io.BytesIO()
        Image.fromarray(shape(name, rng)).save(stream, "PNG")
        (folder / "drawn" / name / f"{number:04d}.png").write_bytes(stream.getvalue())
    store = Store(folder / "runs")
    config = CorpusConfig(policy="none", dedup=None, held_out=0.02)
    source = Images(name="drawn", path=str(folder / "drawn"), licence="CC0-1.0")
    made = build.build([source], config, seed=1, key=b"k" * 32, store=store, reporter=Silent(), workers=1)
    return Corpus(made), store


@cache
def made_items(config, specials: tuple[str, ...] = ()) -> tuple[Tokenizer | None, Shards]:
    """The shards of an input over drawn things, and the tokenizer of captions where it has any."""
    if config.modality == "audio":
        from drawn_sounds import drawn_sounds

        corpus, store = drawn_sounds()
    elif config.modality == "video":
        from drawn_clips import drawn_clips

        corpus, store = drawn_clips()
    elif config.modality == "trajectory":
        from drawn_episodes import drawn_episodes

        corpus, store = drawn_episodes(config.discrete)
    else:
        corpus, store = drawn_corpus()
    tokenizer = None
    if config.tokenized:
        options = {"seed": 1, "store": store, "reporter": Silent()}
        tokenizer = Tokenizer(train(BytesConfig(specials=specials, reserved=4), corpus, **options))
    return tokenizer, Shards.open(write.write(corpus, config, tokenizer, store=store, reporter=Silent()))
