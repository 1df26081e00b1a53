"""What a card says of how to load the model runs, for every class that a model can be exported to."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("transformers")

from seedstock import kinds
from seedstock.release.facts.model import CHOICES, SIZES
from seedstock.release.figures import Figures
from seedstock.release.formats import Markdown
from seedstock.release.loading import UNKNOWN, exported_class, loading
from seedstock.release.rows import Rows
from seedstock.transfer.export import export

KINDS = ("decoder", "encoder", "encoder-decoder")
SHAPES = [(kind, shape) for kind in KINDS for shape in kinds.load("models", kind).PRESETS]
SMALL = {"width": 32, "layers": 1, "heads": 2, "context": 64, "mlp_width": 64}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """A byte tokenizer as the inputs room writes it."""
    from seedstock.inputs.tokenizers import vocabulary
    from seedstock.inputs.tokenizers.train import _ecosystem_config

    folder, backend = tmp_path_factory.mktemp("tokenizer"), vocabulary.of_bytes(16)
    (folder / "tokenizer.json").write_text(backend.to_str(pretty=True))
    (folder / "tokenizer_config.json").write_text(json.dumps(_ecosystem_config(backend)))
    return folder


@pytest.mark.parametrize("kind, shape", SHAPES)
def test_the_code_on_the_card_runs(kind, shape, tokenizer, tmp_path, monkeypatch, capsys):
    config = kinds.load("models", kind)(shape=shape, **SMALL)
    how = loading(config.export_class)
    if shape == "plain":
        assert how is UNKNOWN
        return
    export(config.build(320), tokenizer, tmp_path / "model", parity=False)
    assert exported_class(tmp_path / "model") == config.export_class
    monkeypatch.chdir(tmp_path)
    exec(how.code, {})
    assert capsys.readouterr().out.strip()
    assert how.task in ("text-generation", "fill-mask", "text2text-generation")


OTHERS = ["ViTMAEForPreTraining", "Dinov2Model", "HubertModel", "Wav2Vec2ForPreTraining", "VideoMAEForPreTraining"]
OTHERS += ["DecisionTransformerModel", "EncodecModel"]


@pytest.mark.parametrize("exported", OTHERS)
def test_models_of_pictures_and_sounds_are_not_said_to_write(exported):
    how = loading(exported)
    assert how is not UNKNOWN and "text" not in how.task and "mask" not in how.task


def test_a_head_for_the_next_sentence_is_another_class(tokenizer, tmp_path, monkeypatch, capsys):
    from seedstock.objectives.masked import NextSentence

    network = kinds.load("models", "encoder")(shape="bert", **SMALL).build(320)
    nets = {"network": network, "next_sentence": NextSentence(32, 1)}
    export(network, tokenizer, tmp_path / "model", nets=nets, parity=False)
    assert exported_class(tmp_path / "model") == "BertForPreTraining"
    monkeypatch.chdir(tmp_path)
    exec(loading("BertForPreTraining").code, {})
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("kind, shape", SHAPES)
def test_every_choice_is_said(kind, shape):
    config = kinds.load("models", kind)(shape=shape, **SMALL).resolved()
    values = {name: value for name, value in config.model_dump(mode="json").items() if name in (*SIZES, *CHOICES)}
    rows = Rows(Markdown(), Figures())
    text = rows.choices(values)
    assert ("relative" in text) == (shape == "t5") and ("experts" in text) == (shape in ("mixtral", "qwen3-moe"))
    assert ("away" in text) == (shape == "modernbert")
    assert rows.layers(values | {"decoder_layers": 3 if kind == "encoder-decoder" else None}).startswith("1")
