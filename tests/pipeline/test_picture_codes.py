"""Pictures and captions in one stream: an autoencoder is trained, and a decoder reads the codes that it gives."""

from __future__ import annotations

import dataclasses
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from drawn_pairs import NAMES, write
from PIL import Image

from seedstock import answers, code_samples, coders, pipeline, recipe, scoring, weights
from seedstock.errors import IntegrityError, RecipeError
from seedstock.evaluation.bits_per_byte import score
from seedstock.inputs.picture_codes import PictureCodesConfig
from seedstock.provenance.erase import drawn
from seedstock.runs import Run

SOURCES = "sources: [{{name: drawn, kind: image-text, path: {path}, fields: {{text: captions}}, licence: CC0-1.0}}]\n"
TRAINING = "training: {{steps: 4, batch_examples: 8, checkpoint_every: 2, precision: fp32, threads: 1, micro_batch: 8, "
CORPUS = "corpus: {{policy: none, dedup: null, held_out: 20 %}}\nmixture: {{max_repeats: null}}\nseed: 3\n"
VQ = f"""name: vq
{SOURCES}{CORPUS}input: {{{{kind: images, size: 16}}}}
model: {{{{kind: autoencoder, image: 16, widths: [8, 16, 16], groups: 4, codes: 12}}}}
objective: {{{{kind: vq}}}}
{TRAINING}compile: false}}}}
"""
FUSED = f"""name: fused
{SOURCES}{CORPUS}input: {{{{kind: tokens, pictures: {{{{run: 'run:vq@4', codes: 12}}}}}}}}
tokenizer: {{{{kind: bytes}}}}
model: {{{{kind: decoder, shape: llama, width: 32, layers: 1, heads: 2, context: 64}}}}
objective: {{{{kind: causal, token_weights: {{{{'code_*': 0.5}}}}}}}}
{TRAINING}compile: false, sample_every: 4}}}}
"""


def parsed(text, folder, **changes):
    for old, new in changes.items():
        text = text.replace(old, new)
    return recipe.parse(text.format(path=folder / "drawn.tar"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("codes")
    write(folder / "drawn.tar")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEEDSTOCK_KEY", "5e" * 32)
        patch.setenv("SEEDSTOCK_TEST_FOLDER", str(folder))
        pipeline.run(parsed(VQ, folder), runs=folder / "runs", until="release")
        return folder, pipeline.run(parsed(FUSED, folder), runs=folder / "runs", until="release")


def documents(run, split="train"):
    """Each document of the shards as (id, tokens between BOS and EOS)."""
    for stratum in run.shards.strata(split):
        stream = run.shards._stream(split, stratum.stratum)
        at = 0
        for row in stream.documents:
            yield bytes(row["id"]), stream.read(np.array([at + 1]), int(row["tokens"]) - 2)[0]
            at += int(row["tokens"])


def test_every_document_is_its_caption_and_the_codes_of_its_picture(made):
    _, run = made
    specials = run.tokenizer.specials
    begin, end, first = specials["image"], specials["image_end"], specials["code_0"]
    vq = Run.open(run.runs, "vq")
    network, _ = weights.load(vq, 4)
    network.use(torch.float32)
    media = {}
    for batch in run.corpus.texts("train", media="image/", more=("meta",)):
        media |= {bytes(row["id"]): (row["media"], row["text"]) for row in batch.to_pylist()}
    orders = set()
    found = [*documents(run)]
    for identity, tokens in found:
        tokens = np.asarray(tokens)
        start, stop = np.flatnonzero(tokens == begin)[0], np.flatnonzero(tokens == end)[0]
        codes = tokens[start + 1 : stop].astype(np.int64) - first
        data, text = media[identity]
        image = next(iter(vq.recipe.input.items(_document(data))))["image"]
        with torch.no_grad():
            assert codes.tolist() == network.codes(torch.from_numpy(np.stack([image])))[0].tolist()
        caption = np.concatenate([tokens[:start], tokens[stop + 1 :]])
        assert run.tokenizer.decode(caption) == text
        assert not text or text.split()[0] in {*NAMES, *NAMES.values()}
        orders.add(bool(start == 0 and text))
        assert (start == 0) == bool(identity[-1] & 1) or not text
    assert len(found) > 30 and orders == {True, False}, "half of them begin with the picture"


def _document(data):
    from seedstock.inputs.items.config import Document

    return Document(data, "", "", {})


def test_the_autoencoder_is_on_record_and_what_it_learned_is_followed(made):
    _, run = made
    (record,) = [one for one in run.chain.of("parents") if one["stage"] == "shards"]
    assert record["runs"]["run:vq@4"]["step"] == 4
    assert answers.verify(run)["problems"] == []
    trained = json.loads((run.stage_folder("shards") / "index.json").read_text())["pictures"]
    assert trained["coder"]["manifest_sha256"] == record["runs"]["run:vq@4"]["manifest_sha256"]


def test_both_are_exported(made):
    folder, run = made
    pytest.importorskip("diffusers")
    assert (run.folder / "release/model/config.json").is_file()
    beside = json.loads((run.folder / "release/model/pictures/config.json").read_text())
    assert beside["_class_name"] == "VQModel" and beside["num_vq_embeddings"] == 12
    about = json.loads((folder / "runs/vq/release/model/parity.json").read_text())
    assert about["class"] == "VQModel" and about["passed"]


def test_an_autoencoder_that_was_trained_anew_is_not_written_beside(made, tmp_path):
    folder, run = made
    shutil.copytree(folder / "runs", tmp_path / "runs")
    copied = Run.open(tmp_path / "runs", run.name)
    sealed = tmp_path / "runs/vq/checkpoints/step-00000004/manifest.json"
    sealed.write_text(sealed.read_text() + " ")
    with pytest.raises(IntegrityError, match="another one by now"):
        weights.export(copied, tmp_path / "model")
    shutil.rmtree(sealed.parent)
    with pytest.raises(IntegrityError, match="is gone"):
        weights.export(copied, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_where_nothing_is_said_of_pictures_codes_are_scored_by_their_own_loss(made):
    _, run = made
    told = SimpleNamespace(predicts_next=True)
    assert scoring.in_bits(run, told)
    bare = SimpleNamespace(strata=lambda split: [dataclasses.replace(one, bytes=0) for one in run.shards.strata(split)])
    silent = SimpleNamespace(shards=bare, corpus=run.corpus, recipe=run.recipe)
    assert not scoring.in_bits(silent, told)


def test_a_run_that_gives_no_such_codes_is_refused(made):
    _, run = made
    with pytest.raises(RecipeError, match="has 12 codes, and the recipe says 13"):
        coders.of(run.runs, PictureCodesConfig(run="run:vq", codes=13))
    with pytest.raises(RecipeError, match="no autoencoder with a codebook"):
        coders.of(run.runs, PictureCodesConfig(run="run:fused", codes=12))
    with pytest.raises(RecipeError, match="its own codes"):
        coders.of(run.runs, PictureCodesConfig(run="run:fused", codes=12), own="fused")


def test_a_picture_that_cannot_be_decoded_leaves_its_caption(made):
    _, run = made
    coder = coders.of(run.runs, PictureCodesConfig(run="run:vq", codes=12))
    whole = next(iter(run.corpus.texts("train", media="image/"))).column("media").to_pylist()[0]
    codes, broken = coder([whole, whole[: len(whole) // 3]])
    assert codes.shape == (16,) and broken is None


def test_bits_per_byte_are_of_the_captions_alone(made, monkeypatch):
    """Every byte that is counted is of a caption, and codes have their nats apart: each by the tokens of the shards."""
    _, run = made
    scores = json.loads((run.folder / "evaluation" / "scores.json").read_text())
    specials = set(run.tokenizer.specials.values())
    tokens = np.concatenate([tokens for _, tokens in documents(run, "held_out")])
    of_pictures = np.isin(tokens, run.shards.of_pictures)
    assert of_pictures.any() and set(tokens[of_pictures].tolist()) <= specials
    assert scores["codes"]["tokens"] == of_pictures.sum()
    assert scores["held_out"]["tokens"] == (~of_pictures).sum() == scores["held_out"]["bytes"]
    assert scores["floors"]["same_bytes"]
    shards, network = run.shards, weights.load(run)[0]
    apart = score(network, shards, run.tokenizer, context=64)
    monkeypatch.setattr(shards, "of_pictures", np.array([], np.int64))
    together = score(network, shards, run.tokenizer, context=64)
    np.testing.assert_allclose(apart.nats + apart.code_nats, together.nats)
    assert (apart.code_nats > 0).all() and not together.code_nats.any()


def test_a_run_shows_what_it_draws_and_says_while_it_trains(made):
    _, run = made
    drawn = (run.folder / "samples/step-00000004.png").read_bytes()
    nets, own, _ = weights.load_nets(run)
    told = scoring.sampler(run, own)(nets, 4)
    assert "written after media: '" in told and told.endswith("step-00000004.png")
    assert drawn == (run.folder / "samples/step-00000004.png").read_bytes(), "of the same weights and step the same"
    seen = np.asarray(Image.open(run.folder / "samples/step-00000004.png"))
    texts = {row["text"] for batch in run.corpus.texts("held_out") for row in batch.to_pylist()}
    columns = min(code_samples.SHOWN, len(texts))
    # 16 pixels are drawn four times as large, with gaps of two between them.
    assert seen.shape == (4 * (18 * (1 + code_samples.EACH) - 2), 4 * (18 * columns - 2), 3)


def test_what_was_drawn_through_codes_goes_with_a_document_that_it_may_show(made):
    _, run = made
    drawings = sorted(f"samples/{path.name}" for path in (run.folder / "samples").glob("*.png"))
    assert drawings
    for split, found in (("train", []), ("held_out", drawings)):
        document, _ = next(documents(run, split))
        assert drawn.concerned(run.folder, [run.shards.folder], frozenset({document})) == found


def test_a_training_goes_on_where_the_run_that_codes_is_gone(made):
    folder, run = made
    nets, own, _ = weights.load_nets(run)
    coders._loaded.cache_clear()
    (folder / "runs/vq").rename(folder / "away")
    try:
        told = scoring.sampler(run, own)(nets, 4)
    finally:
        (folder / "away").rename(folder / "runs/vq")
    assert "nothing is drawn: " in told


def test_the_papers_tell_bytes_of_text_where_text_was_read(made):
    folder, run = made
    card, content = ((folder / "runs/vq/release" / name).read_text() for name in ("README.md", "training-content.md"))
    assert "| Pictures |" in card and "Bytes of text" not in card and "of text," not in card
    assert "Size of the training data" in content
    assert "Bytes of text" in (run.folder / "release/README.md").read_text()
