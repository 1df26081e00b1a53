"""Encoder-decoders: what transformers loads computes what we do, and what it wrote is read."""

from __future__ import annotations

import json

import pytest
import torch

pytest.importorskip("transformers")

from seedstock.errors import SeedstockError
from seedstock.models.configs.encoder_decoder import EncoderDecoderConfig
from seedstock.models.keys import generator
from seedstock.transfer.export import export
from seedstock.transfer.importing import import_model
from seedstock.transfer.maps import find

VOCABULARY = 96
SHAPES = {
    "t5": {"head_size": 8, "buckets": 8, "longest": 20},
    "t5 1.0": {"activation": "relu", "tied_embeddings": True},
    "bart": {},
    "bart from bos": {"start": "bos", "activation": "relu"},
}


def lively(shape):
    """A small network with weights large enough that a wrong one shows, the head's bias among them."""
    sizes = {"width": 32, "layers": 2, "decoder_layers": 3, "heads": 2, "context": 48, "mlp_width": 64}
    network = EncoderDecoderConfig(shape=shape.split()[0], **sizes, **SHAPES[shape]).build(VOCABULARY)
    with torch.no_grad():
        for number, tensor in enumerate(network.state_dict().values()):
            tensor.add_(torch.randn(tensor.shape, generator=generator("lively", 1, str(number))) * 0.15)
    return network


@pytest.mark.parametrize("shape", SHAPES)
def test_export_and_import_keep_the_function(shape, tmp_path):
    network = lively(shape)
    report = export(network, None, tmp_path / "out")
    assert report["passed"] and report["class"] == network.config.export_class
    assert report["greedy"]["equal"] == report["greedy"]["of"] == 32
    back = import_model(tmp_path / "out")
    assert back.report["passed"]
    assert back.config.resolved() == network.config.resolved()
    ours, theirs = network.state_dict(), back.network.state_dict()
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_transformers_wrote_is_read(shape, tmp_path):
    import transformers

    network = lively(shape)
    target = find(network.config.export_class)
    theirs = transformers.AutoConfig.for_model(**target.to_config(network.config, VOCABULARY))
    getattr(transformers, target.CLASS)(theirs).save_pretrained(tmp_path)
    assert import_model(tmp_path).report["passed"]


def test_a_map_that_takes_one_stack_for_the_other_fails(tmp_path, monkeypatch):
    bart = find("BartForConditionalGeneration")
    swapped = {"model.encoder.layernorm_embedding": "model.decoder.layernorm_embedding"}
    swapped |= {theirs: ours for ours, theirs in swapped.items()}
    rules = []
    for rule in bart.RULES:
        stem, _, kind = rule.theirs.rpartition(".")
        rules.append(type(rule)(rule.ours, f"{swapped.get(stem, stem)}.{kind}" if stem else rule.theirs, rule.form))
    monkeypatch.setattr(bart, "RULES", tuple(rules))
    with pytest.raises(SeedstockError, match="computes something else"):
        export(lively("bart"), None, tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shape", ["t5", "bart"])
def test_the_tokenizer_says_how_a_target_begins(shape, tmp_path):
    import transformers

    from seedstock.inputs.tokenizers import vocabulary
    from seedstock.inputs.tokenizers.train import _ecosystem_config

    backend, folder = vocabulary.of_bytes(16), tmp_path / "tokenizer"
    folder.mkdir()
    (folder / "tokenizer.json").write_text(backend.to_str(pretty=True))
    (folder / "tokenizer_config.json").write_text(json.dumps(_ecosystem_config(backend)))
    sizes = {"width": 32, "layers": 1, "heads": 2, "context": 48, "mlp_width": 64}
    network = EncoderDecoderConfig(shape=shape, **sizes).build(320)
    report = export(network, folder, tmp_path / "out")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    settings = json.loads((tmp_path / "out/generation_config.json").read_text())
    wanted = tokenizer.pad_token_id if shape == "t5" else tokenizer.eos_token_id
    assert settings["decoder_start_token_id"] == wanted and report["token_ids"]["passed"]
    loaded = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "out")
    assert loaded.config.decoder_start_token_id == wanted and loaded.config.pad_token_id == tokenizer.pad_token_id


@pytest.mark.parametrize(
    "changes, words",
    [({"decoder_start_token_id": 77}, "neither its bos"), ({"scale_embedding": True}, "scale_embedding")],
)
def test_what_we_could_not_honour_is_refused(changes, words, tmp_path):
    export(lively("bart"), None, tmp_path / "out", parity=False)
    path = tmp_path / "out/config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(SeedstockError, match=words):
        import_model(tmp_path / "out", parity=False)
