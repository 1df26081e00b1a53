"""Scores of models that look both ways: the definition, one text at a time, and pairs of which one is right."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seedstock.evaluation.pseudo_likelihood import masked_accuracy, minimal_pairs, pseudo_log_likelihood
from seedstock.inputs.keys import Keys
from seedstock.models.configs.encoder import EncoderConfig
from seedstock.models.keys import generator
from seedstock.objectives.base import Spec, assemble
from seedstock.objectives.configs.masked import MaskedConfig

BOS, EOS, PAD, MASK, VOCABULARY = 0, 1, 2, 3, 64


@pytest.fixture(params=["bert", "modernbert", "esm2"])
def network(request):
    shape = {"window": 4, "global_every": 2} if request.param == "modernbert" else {}
    config = EncoderConfig(shape=request.param, width=32, layers=2, heads=2, context=16, mlp_width=64, **shape)
    network = config.build(VOCABULARY)
    with torch.no_grad():
        for number, parameter in enumerate(network.parameters()):
            parameter.add_(torch.randn(parameter.shape, generator=generator("lively", str(number))) * 0.2)
    return network


@pytest.mark.parametrize("batch_tokens", [1, 40, 10_000])
def test_it_is_the_definition(network, batch_tokens):
    random = np.random.default_rng(0)
    texts = [random.integers(4, VOCABULARY, size).tolist() for size in (5, 1, 12, 0, 3, 30)]
    network.train()
    found = pseudo_log_likelihood(network, texts, mask=MASK, before=[BOS], after=[EOS], batch_tokens=batch_tokens)
    assert network.training
    network.eval()
    for text, value in zip(texts, found, strict=True):
        whole, nats = torch.tensor([[BOS, *text[:14], EOS]]), 0.0
        for place in range(1, whole.shape[1] - 1):
            hidden = whole.clone()
            hidden[0, place] = MASK
            with torch.no_grad():
                nats += float(torch.log_softmax(network(hidden)[0, place], -1)[whole[0, place]])
        assert value == pytest.approx(nats, rel=1e-4, abs=1e-4)


def test_pairs_are_counted_by_group_and_ties_are_halves():
    pairs = [("a", "aaa", "b"), ("a", "a", "bb"), ("b", "xx", "yy"), ("b", "xxx", "y")]
    found = minimal_pairs(lambda texts: [len(text) for text in texts], pairs)
    assert found["accuracy"] == 2.5 / 4 and found["pairs"] == 4 and found["by"] == {"a": 0.5, "b": 0.75}
    assert minimal_pairs(lambda texts: [], [])["standard_error"] is None


class Texts:
    """Windows whose tokens count upwards."""

    seed = 1

    def batches(self, size):
        for start in (0, 4):
            tokens = 4 + (np.arange(start, start + 4)[:, None] + np.arange(16)) % (VOCABULARY - 4)
            zeros = np.zeros((4, 16), np.int64)
            yield {"tokens": tokens, "documents": zeros, "positions": zeros, "examples": np.arange(start, start + 4)}


def test_accuracy_is_of_hidden_tokens_alone(network):
    spec = Spec(VOCABULARY, 16, {"bos": BOS, "eos": EOS, "pad": PAD, "mask": MASK}, network.config)
    objective = MaskedConfig(rate=0.6).build(spec)
    nets = assemble(network, objective)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.head.bias[10] = 1.0  # whatever is hidden, it says 10
    found = masked_accuracy(nets, objective, Texts(), batch=4)
    hidden = tens = 0
    for batch in Texts().batches(4):
        made = objective.corrupt({k: torch.from_numpy(v) for k, v in batch.items()}, Keys(1, batch["examples"]))
        at = (made["targets"] >= 0) & (made["given"] == MASK)
        hidden, tens = hidden + int(at.sum()), tens + int((made["targets"][at] == 10).sum())
    assert tens > 0 and found["tokens"] == hidden and found["accuracy"] == pytest.approx(tens / hidden)
