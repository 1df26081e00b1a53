"""Small sounds that every machine can make: a few syllables each, at a pitch of its own."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from seedstock.corpus import Corpus, build
from seedstock.corpus.config import CorpusConfig
from seedstock.corpus.sources.audio import Audio
from seedstock.ledger.store import Store
from seedstock.progress import Silent

RATE, SECONDS = 2000, 0.5
WORDS = ("aba", "bab", "aab", "bba")
_KEPT: list[TemporaryDirectory] = []  # until the tests end


def word(name: str, rng: np.random.Generator) -> np.ndarray:
    """Samples in -1 … 1: for an ``a`` a buzz with a low formant, for a ``b`` one with a high formant, at one pitch."""
    pitch, parts = rng.uniform(80, 120), []
    for letter in name:
        at = np.arange(round(RATE * rng.uniform(0.1, 0.15))) / RATE
        tones = np.arange(1, 9) * pitch
        loud = np.exp(-(((tones - (300 if letter == "a" else 700)) / 150) ** 2)) + 0.02
        parts.append((np.sin(2 * np.pi * tones[:, None] * at) * loud[:, None]).sum(0) * np.hanning(len(at)) ** 0.3)
    whole = np.concatenate(parts) * 0.3
    return np.clip(whole + rng.normal(0, 0.005, len(whole)), -1, 1)


@cache
def drawn_sounds(count: int = 640) -> tuple[Corpus, Store]:
    """A corpus of drawn words by four speakers; the word is label and text."""
    import soundfile

    _KEPT.append(TemporaryDirectory(prefix="sounds-"))
    folder, rng = Path(_KEPT[-1].name), np.random.default_rng(7)
    (folder / "sounds").mkdir()
    for number in range(count):
        name, stream = WORDS[number % len(WORDS)], io.BytesIO()
        soundfile.write(stream, word(name, rng), RATE, format="WAV")
        (folder / "sounds" / f"{name}_{number % 5}_{number:04d}.wav").write_bytes(stream.getvalue())
    store = Store(folder / "runs")
    config = CorpusConfig(policy="none", dedup=None, held_out=0.02)
    pattern = r"(?P<text>\w+)_(?P<speaker>\d)_(?P<take>\d+)"
    source = Audio(name="drawn", path=str(folder / "sounds"), pattern=pattern, licence="CC0-1.0")
    made = build.build([source], config, seed=1, key=b"k" * 32, store=store, reporter=Silent(), workers=1)
    return Corpus(made), store
