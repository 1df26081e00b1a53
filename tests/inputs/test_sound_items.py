"""Sounds as items: clips of one length at one rate, and Whisper's spectra of them."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedstock.corpus import Corpus, build
from seedstock.corpus.config import CorpusConfig
from seedstock.corpus.media.sounds import resampled
from seedstock.corpus.media.types import Undecodable
from seedstock.corpus.sources.audio import Audio
from seedstock.inputs.items import write
from seedstock.inputs.items.config import Document
from seedstock.inputs.items.log_mel import LogMelConfig, spectrum
from seedstock.inputs.items.waveform import FULL, WaveformConfig
from seedstock.inputs.shards import Shards
from seedstock.ledger.store import Store
from seedstock.progress import Silent

soundfile = pytest.importorskip("soundfile")


def wav(samples, rate=8000, subtype="PCM_16"):
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format="WAV", subtype=subtype)
    return stream.getvalue()


def tone(hertz, rate, seconds=0.5):
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)


def items(config, data):
    return list(config.items(Document(data, "", "und", {"speaker": "theo"}, 3)))


@given(st.integers(1000, 48_000), st.integers(1000, 48_000))
@settings(deadline=None, max_examples=40)
def test_a_tone_is_the_same_tone_at_any_rate(rate, wanted):
    hertz = 0.3 * min(rate, wanted)
    found = resampled(tone(hertz, rate).astype(np.float32), rate, wanted)
    assert len(found) == -(-round(rate * 0.5) * wanted // rate)
    true = 0.5 * np.sin(2 * np.pi * hertz * np.arange(len(found)) / wanted)
    edge = round(40 * max(1, wanted / rate))
    assert np.abs(found - true)[edge:-edge].max() < 2e-3


def test_what_the_lower_rate_cannot_hold_is_taken_out():
    found = resampled(tone(6000, 16_000).astype(np.float32), 16_000, 8000)
    assert np.abs(found[40:-40]).max() < 1e-3


def test_a_long_sound_is_cut_and_the_rest_filled_up():
    samples = np.random.default_rng(1).integers(-32767, 32768, 2500).astype(np.int16)
    config = WaveformConfig(rate=8000, seconds=0.125, shortest=0.05, label="digit", group="speaker")
    found = items(config, wav(samples))
    assert [int(one["length"]) for one in found] == [1000, 1000, 500]
    whole = np.concatenate([one["waveform"] for one in found])
    assert np.abs(whole[:2500].astype(int) - samples).max() <= 1 and not whole[2500:].any()
    assert {int(one["label"]) for one in found} == {3} and len({int(one["group"]) for one in found}) == 1
    few = items(WaveformConfig(rate=8000, seconds=0.125, shortest=0.1), wav(samples))
    assert len(few) == 2, "a rest that is too short is left out"
    assert len(items(WaveformConfig(rate=8000, seconds=1, shortest=0.9), wav(samples))) == 1, "but not the only clip"


@pytest.mark.parametrize("rate, channels, subtype", [(44_100, 2, "PCM_24"), (11_025, 1, "FLOAT"), (8_001, 3, "PCM_16")])
def test_odd_rates_and_channels_become_one(rate, channels, subtype):
    sound = np.repeat(tone(440, rate)[:, None], channels, axis=1)
    (found,) = items(WaveformConfig(rate=16_000, seconds=1), wav(sound, rate, subtype))
    length = int(found["length"])
    assert abs(length - 8000) <= 2
    wanted = 0.5 * np.sin(2 * np.pi * 440 * np.arange(length) / 16_000)
    assert np.abs(found["waveform"][:length] / FULL - wanted)[100:-100].max() < 2e-3


def test_an_empty_clip_is_said_to_be_one():
    for data in (b"", wav(np.zeros(0))):
        with pytest.raises(Undecodable, match=r"empty|no samples"):
            items(WaveformConfig(), data)


@pytest.mark.parametrize("seconds, rate", [(1, 16_000), (0.3, 8000)])
def test_spectra_are_whispers(seconds, rate):
    transformers = pytest.importorskip("transformers")
    rng = np.random.default_rng(2)
    samples = (0.1 * rng.normal(size=16_000)).astype(np.float32)
    samples[9000:] = 0
    theirs = transformers.WhisperFeatureExtractor(chunk_length=1)(samples, sampling_rate=16_000).input_features[0]
    assert np.abs(spectrum(samples, 16_000, 80).T - theirs).max() < 1e-5
    config = LogMelConfig(seconds=1)
    sound = tone(300, rate, seconds)
    (found,) = items(config, wav(sound, rate, "FLOAT"))
    assert found["spectrum"].shape == (100, 80) == (config.frames, config.bins)
    assert int(found["length"]) == round(seconds * 100)


def test_shards_of_sounds_list_what_was_no_sound(tmp_path):
    folder = tmp_path / "sounds"
    folder.mkdir()
    rng = np.random.default_rng(3)
    for number in range(12):
        (folder / f"{number % 3}_{'abcd'[number % 4]}_{number}.wav").write_bytes(wav(0.1 * rng.normal(size=3000)))
    (folder / "0_a_99.wav").write_bytes(wav(0.1 * rng.normal(size=3000))[:2000])
    source = Audio(name="s", path=str(folder), pattern=r"(?P<digit>\d)_(?P<group>\w)_", licence="CC0-1.0")
    store = Store(tmp_path / "runs")
    config = CorpusConfig(policy="none", dedup=None, held_out=0.4)
    corpus = Corpus(build.build([source], config, seed=2, key=b"k" * 32, store=store, reporter=Silent(), workers=1))
    given = WaveformConfig(rate=8000, seconds=0.25, shortest=0, label="digit", group="split_group")
    shards = Shards.open(write.write(corpus, given, store=store, reporter=Silent()))
    quarantined = [json.loads(line) for line in (corpus.folder / "quarantine.jsonl").read_text().splitlines()]
    assert len(quarantined) == 1 and "breaks off" in quarantined[0]["reason"]
    sides = {}
    for split in ("train", "held_out"):
        for stratum in shards.strata(split):
            stored = shards.items(split, stratum.stratum, np.arange(stratum.tokens))
            assert (stored["length"] == np.tile([2000, 1000], stratum.documents)).all()
            sides[split] = set(stored["group"].tolist())
    assert len(shards.labels) == 3 and not sides["train"] & sides["held_out"]


def test_a_sound_that_would_grow_beyond_the_limit_is_refused(monkeypatch):
    from seedstock.corpus.media import sounds

    monkeypatch.setattr(sounds, "SAMPLES", 20_000)
    data = wav(tone(200, 1000, 2.5), 1000)
    assert len(items(WaveformConfig(rate=8000, seconds=1), data)) == 3
    with pytest.raises(Undecodable, match="at 16000 samples a second"):
        items(WaveformConfig(rate=16_000), data)
