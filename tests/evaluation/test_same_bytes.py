"""From a real corpus to scores and floors: the network and the count models are judged on the very same bytes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from seedstock.corpus import Corpus
from seedstock.corpus.build import build
from seedstock.corpus.config import CorpusConfig
from seedstock.corpus.sources.jsonl import JsonLines
from seedstock.evaluation.bits_per_byte import score
from seedstock.evaluation.config import EvaluationConfig
from seedstock.evaluation.doctor import data
from seedstock.evaluation.floors import floors
from seedstock.evaluation.scores import evaluate
from seedstock.evaluation.texts import read
from seedstock.evaluation.windows import sample
from seedstock.inputs.shards import Shards
from seedstock.inputs.tokenizers import Tokenizer
from seedstock.inputs.tokenizers.config import BpeConfig, BytesConfig, CharactersConfig
from seedstock.inputs.tokenizers.train import train
from seedstock.inputs.write import write
from seedstock.ledger.store import Store
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.progress import Silent

LINES = (
    "Plant number {n} stands in bed {n}; ask gardener{n}@example.com about it.",
    "Растение {n} стоит на грядке {n}, и никто не знает почему.",
    "植物{n}在第{n}块地里，旁边有一棵树。",
    "Emoji 🌱{n}, a combining é and a tab\tend the line {n}.\r\n",
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    with (folder / "garden.jsonl").open("w") as file:
        for number in range(80):
            text = "\n".join(LINES[(number + k) % 4].format(n=number * k) for k in range(1, 9))
            file.write(json.dumps({"id": f"g{number}", "text": text, "license": "MIT"}) + "\n")
    source = JsonLines(name="garden", path=str(folder / "garden.jsonl"), domain="docs")
    store, config = Store(folder / "runs"), CorpusConfig(policy="none", dedup=None, held_out="20 %")
    return Corpus(build([source], config, seed=1, key=b"k" * 32, store=store, reporter=Silent(), workers=0))


@pytest.fixture(
    scope="module", params=[BpeConfig(vocab_size=384), BytesConfig(), CharactersConfig()], ids=lambda c: c.kind
)
def built(request, corpus, tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("runs"))
    tokenizer = Tokenizer(train(request.param, corpus, seed=1, store=store, reporter=Silent()))
    shards = Shards(write(corpus, tokenizer, store=store, reporter=Silent()))
    network = DecoderConfig(width=32, layers=1, heads=2, context=48).build(tokenizer.vocab_size)
    return tokenizer, shards, network


def test_every_byte_is_scored_once(corpus, built):
    tokenizer, shards, network = built
    found = score(network, shards, tokenizer, context=48)
    known = {
        name: size for texts in read(corpus, "held_out") for name, size in zip(texts.ids, texts.lengths, strict=True)
    }
    assert dict(zip(found.documents.ids, found.bytes.tolist(), strict=True)) == known
    assert found.summary()["bytes"] == floors(corpus)["held_out"]["bytes"] == sum(known.values()) > 0


def test_a_sample_is_of_the_same_documents(corpus, built):
    tokenizer, shards, network = built
    config = EvaluationConfig(limit=2000)
    measured = floors(corpus, config, only=sample(shards, config.limit))
    result = evaluate(network, tokenizer, shards, config, context=48, floors=measured)
    assert 0 < result["held_out"]["bytes"] < result["held_out"]["available_bytes"]
    assert result["floors"]["same_bytes"]
    assert sample(shards, None) is None


def test_decisions_hold_no_leak(corpus):
    decisions = corpus.decisions()
    splits = decisions["split"].to_pylist()
    assert "held_out" in splits
    assert data.shared_clusters(decisions["cluster"].to_numpy(), splits).level == "good"
    together = np.zeros(len(splits), np.int64)
    assert data.shared_clusters(together, splits).level == "problem"
