"""Encoders: what transformers loads computes what we do, and what it wrote is read."""

from __future__ import annotations

import pytest
import torch
from torch import nn

pytest.importorskip("transformers")

from seedstock.models.configs.encoder import EncoderConfig
from seedstock.models.keys import generator
from seedstock.models.linear import Linear
from seedstock.models.mask import Mask
from seedstock.transfer.export import export
from seedstock.transfer.importing import import_model
from seedstock.transfer.maps import find

VOCABULARY = 96
SHAPES = {"bert": {}, "modernbert": {"window": 4, "global_every": 3}, "esm2": {}}


def lively(shape: str):
    """A small encoder with weights large enough that a wrong one shows."""
    config = EncoderConfig(shape=shape, width=32, layers=4, heads=2, context=32, mlp_width=64, **SHAPES[shape])
    network = config.build(VOCABULARY)
    with torch.no_grad():
        for number, parameter in enumerate(network.parameters()):
            parameter.add_(torch.randn(parameter.shape, generator=generator("lively", 1, str(number))) * 0.1)
    return network


@pytest.mark.parametrize("shape", SHAPES)
def test_export_and_import_keep_the_function(shape, tmp_path):
    network = lively(shape)
    report = export(network, None, tmp_path / "out")
    assert report["passed"] and report["class"] == network.config.export_class
    back = import_model(tmp_path / "out")
    assert back.report["passed"]
    assert back.config.resolved() == network.config.resolved()
    ours, theirs = network.state_dict(), back.network.state_dict()
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_transformers_wrote_is_read(shape, tmp_path):
    import transformers

    config = lively(shape).config
    target = find(config.export_class)
    theirs = transformers.AutoConfig.for_model(**{"pad_token_id": 0, **target.to_config(config, VOCABULARY)})
    getattr(transformers, target.CLASS)(theirs).save_pretrained(tmp_path)
    assert import_model(tmp_path).report["passed"]


def test_a_head_for_the_next_sentence_goes_with_bert(tmp_path):
    import transformers

    class NextSentence(nn.Module):
        def __init__(self):
            super().__init__()
            self.pooler, self.classifier = Linear(32, 32, True), Linear(32, 2, True)
            for parameter in self.parameters():
                nn.init.normal_(parameter, generator=generator("next", 1))

    network, head = lively("bert"), NextSentence()
    report = export(network, None, tmp_path / "out", nets={"network": network, "next_sentence": head})
    assert report["class"] == "BertForPreTraining" and report["passed"]
    theirs = transformers.AutoModelForPreTraining.from_pretrained(tmp_path / "out").eval()
    tokens = torch.arange(16)[None]
    with torch.no_grad():
        hidden = network.backbone(network.embed(tokens, tokens), tokens, Mask("full")).hidden
        ours = head.classifier(torch.tanh(head.pooler(hidden[:, 0])))
        given = theirs(tokens, attention_mask=torch.ones_like(tokens)).seq_relationship_logits
    torch.testing.assert_close(ours, given, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_padding_and_other_documents_are_not_seen(shape):
    network = lively(shape)
    tokens = torch.randint(0, VOCABULARY, (2, 24), generator=generator("tokens", 1))
    positions = torch.cat([torch.arange(10), torch.arange(14)])[None].expand(2, -1)
    documents = (torch.arange(24) >= 10).long()[None].expand(2, -1)
    packed = network(tokens, positions, documents)
    torch.testing.assert_close(packed[:, :10], network(tokens[:, :10]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(packed[:, 10:], network(tokens[:, 10:]), rtol=1e-4, atol=1e-5)
    changed = tokens.clone()
    changed[:, 9] += 1
    assert not torch.allclose(network(changed % VOCABULARY)[:, 0], network(tokens)[:, 0])  # it looks both ways
