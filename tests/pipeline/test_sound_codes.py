"""Sounds and their names in one stream: a codec is trained, and a decoder reads and writes the codes that it gives."""

from __future__ import annotations

import io
import json
import tarfile

import numpy as np
import pytest
import torch

from seedstock import answers, code_samples, coders, pipeline, recipe, scoring, weights
from seedstock.errors import RecipeError
from seedstock.inputs.sound_codes import SoundCodesConfig, Sounds
from seedstock.runs import Run

COMMON = r"""
sources: [{{name: drawn, kind: audio, path: {path}, pattern: '(?P<text>[a-z]+)_\d+', licence: CC0-1.0}}]
corpus: {{policy: none, dedup: null, held_out: 20 %}}
mixture: {{max_repeats: null}}
seed: 3
training: {{steps: 2, batch_examples: 4, precision: fp32, threads: 1, micro_batch: 4, compile: false}}
"""
CODEC = (
    "name: codec\ninput: {{kind: waveform, rate: 2k, seconds: 0.5, shortest: 0.1}}\n"
    "model: {{kind: codec, samples: 1000, rate: 2k, filters: 4, ratios: [5, 4], recurrent: 1, latent: 4, codes: 8,\n"
    " books: 3}}\n"
    "objective: {{kind: residual-vq}}" + COMMON
)
SPOKEN = (
    "name: spoken\ninput: {{kind: tokens, sounds: {{run: 'run:codec', codes: 8, books: 2}}}}\n"
    "tokenizer: {{kind: bytes}}\n"
    "model: {{kind: decoder, shape: llama, width: 32, layers: 1, heads: 2, context: 64}}"
    + COMMON.replace("steps: 2", "steps: 2, sample_every: 2")
)


def tone(name, seconds, rate=2000):
    import soundfile

    at, stream = np.arange(round(seconds * rate)) / rate, io.BytesIO()
    soundfile.write(stream, 0.4 * np.sin(2 * np.pi * (200 if name == "low" else 500) * at), rate, format="WAV")
    return stream.getvalue()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sounds")
    with tarfile.open(folder / "drawn.tar", "w") as out:
        for number in range(24):
            name = ("low", "high")[number % 2]
            data = tone(name, 0.2 + 0.05 * number)
            info = tarfile.TarInfo(f"{name}_{number}.wav")
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEEDSTOCK_KEY", "5e" * 32)
        for text in (CODEC, SPOKEN):
            found = recipe.parse(text.format(path=folder / "drawn.tar"))
            run = pipeline.run(found, runs=folder / "runs", until="training")
        return folder, run


def test_every_document_is_its_name_and_the_codes_of_its_sound(made):
    _, run = made
    config = run.recipe.input.sounds
    coder = coders.of(run.runs, config)
    writer = Sounds(config, coder, run.tokenizer.specials)
    network, _ = weights.load(Run.open(run.runs, "codec"))
    network.use(torch.float32)
    read = {}
    for batch in run.corpus.texts("train", media="audio/"):
        read |= {bytes(row["id"]): (row["media"], row["text"]) for row in batch.to_pylist()}
    orders, lengths = set(), set()
    for stratum in run.shards.strata("train"):
        stream, at = run.shards._stream("train", stratum.stratum), 0
        for row in stream.documents:
            tokens = stream.read(np.array([at + 1]), int(row["tokens"]) - 2)[0]
            at += int(row["tokens"])
            data, text = read[bytes(row["id"])]
            start, stop = (int(np.flatnonzero(tokens == writer.ids[n])[0]) for n in (0, 1))
            found = writer.codes(tokens[start + 1 : stop])
            (own,) = coder([data])
            assert np.array_equal(found, own[:, :2]) and own.shape[1] == 3
            assert run.tokenizer.decode(np.concatenate([tokens[:start], tokens[stop + 1 :]])) == text
            orders.add(start == 0)
            lengths.add(len(found))
    assert orders == {True, False} and len(lengths) > 5, "the silence behind a sound is left out"


def test_a_long_sound_is_the_codes_of_its_clips(made):
    _, run = made
    coder = coders.of(run.runs, run.recipe.input.sounds)
    network, cut = coders._loaded(coder)
    (codes,) = coder([tone("low", 1.23)])
    assert codes.shape == (123, 3) and cut.seconds == 0.5, "two clips of 50 frames, and 23 of the third"
    samples, rate = coder.play(codes)
    assert rate == 2000 and len(samples) == 123 * 20 and np.isfinite(samples).all() and abs(samples).max() <= 1
    first = torch.from_numpy(codes[None, :25, :2])
    torch.testing.assert_close(network.play(first)[0].shape, torch.Size([500]))


def test_codes_are_read_up_to_what_is_none():
    config = SoundCodesConfig(run="run:codec", codes=8, books=2)
    writer = Sounds(config, None, {name: 100 + number for number, name in enumerate(config.specials())})
    codes = np.array([[3, 1], [7, 0], [2, 2]])
    tokens = writer.tokens(codes)
    assert tokens[0] == 100 and tokens[-1] == 101 and len(tokens) == 8
    assert np.array_equal(writer.codes(tokens[1:-1]), codes)
    assert np.array_equal(writer.codes(tokens[1:-2]), codes[:2]), "whole frames alone"
    assert len(writer.codes(tokens[2:])) == 0, "it is the first book's turn"
    assert np.array_equal(writer.codes([*tokens[1:5], 5, *tokens[5:]]), codes[:2])


def test_both_are_exported_and_the_codec_is_on_record(made, tmp_path):
    pytest.importorskip("transformers")
    _, run = made
    release = tmp_path / "model"
    weights.export(run, release)
    assert json.loads((release / "config.json").read_text())["architectures"] == ["LlamaForCausalLM"]
    assert json.loads((release / "sounds/config.json").read_text())["model_type"] == "encodec"
    assert json.loads((release / "sounds/parity.json").read_text())["passed"]
    (record,) = [one for one in run.chain.of("parents") if one["stage"] == "shards"]
    assert record["runs"]["run:codec"]["step"] == 2
    assert answers.verify(run)["problems"] == []


def test_a_model_for_another_rate_is_refused():
    with pytest.raises(RecipeError, match="the model is for 2,000 samples a second, the input gives 4,000"):
        recipe.parse(CODEC.format(path="x").replace("kind: waveform, rate: 2k", "kind: waveform, rate: 4k"))


def test_what_gives_no_such_codes_is_refused(made):
    _, run = made
    with pytest.raises(RecipeError, match="has 3 codebooks, and the recipe says 4"):
        coders.of(run.runs, SoundCodesConfig(run="run:codec", codes=8, books=4))
    with pytest.raises(RecipeError, match="has 8 codes, and the recipe says 16"):
        coders.of(run.runs, SoundCodesConfig(run="run:codec", codes=16, books=2))
    with pytest.raises(RecipeError, match="is no codec"):
        coders.of(run.runs, SoundCodesConfig(run="run:spoken", codes=8, books=2))
    coder = coders.of(run.runs, run.recipe.input.sounds)
    assert coder([b"no sound", tone("low", 0.2)])[0] is None
    with pytest.raises(RecipeError, match="one kind of media"):
        recipe.parse(
            SPOKEN.format(path="x")
            .replace("{run: 'run:codec'", "{run: 'run:codec'")
            .replace("input: {kind: tokens,", "input: {kind: tokens, pictures: {run: 'run:vq', codes: 8},")
        )


def test_a_run_shows_the_spectra_of_what_it_plays_while_it_trains(made):
    from PIL import Image

    _, run = made
    nets, own, _ = weights.load_nets(run)
    told = scoring.sampler(run, own)(nets, 2)
    # Sounds are 8 to 54 frames of two books: of those beyond the context nothing is asked.
    assert told.endswith("step-00000002.png") and "written after media" not in told
    texts = {row["text"] for batch in run.corpus.texts("held_out") for row in batch.to_pylist()}
    bands, frames = 16, 1000 // 16 + 1  # of windows of 64 samples, a quarter of one apart
    rows, columns = 1 + code_samples.EACH, len(texts)
    size = (rows * (bands + 2) - 2) * 4, (columns * (frames + 2) - 2) * 4
    assert np.asarray(Image.open(run.folder / "samples/step-00000002.png")).shape == (*size, 3)
