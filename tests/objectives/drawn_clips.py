"""Small clips that every machine can make: a square moves to one of four sides."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from seedstock.corpus import Corpus, build
from seedstock.corpus.config import CorpusConfig
from seedstock.corpus.sources.video import Video
from seedstock.ledger.store import Store
from seedstock.progress import Silent

SIDES = {"right": (0, 1), "left": (0, -1), "down": (1, 0), "up": (-1, 0)}
FRAMES, SIZE = 4, 16
_KEPT: list[TemporaryDirectory] = []  # until the tests end


def clip(side: str, rng: np.random.Generator, frames: int = FRAMES, rate: int = 8) -> bytes:
    """A lossless clip, before a slope, with a little noise."""
    import av

    stream, place = io.BytesIO(), rng.uniform(5, 11, 2)
    speed = np.array(SIDES[side]) * rng.uniform(1, 2)
    y, x = np.mgrid[:SIZE, :SIZE]
    slope = 40 + 5 * (rng.uniform(0, 1) * x + rng.uniform(0, 1) * y)
    with av.open(stream, "w", format="matroska") as out:
        track = out.add_stream("ffv1", rate=rate)
        track.width, track.height, track.pix_fmt = SIZE, SIZE, "bgr0"
        for number in range(frames):
            row, column = place + speed * (number - frames / 2)
            inside = np.maximum(np.abs(y - row), np.abs(x - column)) < 3
            pixels = np.where(inside, 200, slope)[..., None] + rng.normal(0, 1, (SIZE, SIZE, 3))
            frame = av.VideoFrame.from_ndarray(pixels.clip(0, 255).astype(np.uint8), format="rgb24")
            out.mux(track.encode(frame))
        out.mux(track.encode())
    return stream.getvalue()


@cache
def drawn_clips(count: int = 320) -> tuple[Corpus, Store]:
    """A corpus of them, in folders by side."""
    _KEPT.append(TemporaryDirectory(prefix="clips-"))
    folder, rng = Path(_KEPT[-1].name), np.random.default_rng(7)
    for number in range(count):
        side = list(SIDES)[number % len(SIDES)]
        (folder / "clips" / side).mkdir(parents=True, exist_ok=True)
        (folder / "clips" / side / f"{number:04d}.mkv").write_bytes(clip(side, rng))
    store = Store(folder / "runs")
    config = CorpusConfig(policy="none", dedup=None, held_out=0.02)
    source = Video(name="drawn", path=str(folder / "clips"), label="folder", licence="CC0-1.0")
    made = build.build([source], config, seed=1, key=b"k" * 32, store=store, reporter=Silent(), workers=1)
    return Corpus(made), store
