"""A corpus of real texts (the standard library's own sources, and the Declaration in several scripts) as the reader
gives it, its tokenizer and its shards."""

from __future__ import annotations

import pytest
from texts_corpus import TextsCorpus, real_texts

from seedstock.inputs.shards import Shards
from seedstock.inputs.tokenizers import Tokenizer
from seedstock.inputs.tokenizers.config import BpeConfig
from seedstock.inputs.tokenizers.train import train
from seedstock.inputs.write import write
from seedstock.ledger.store import Store
from seedstock.progress import Silent


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    return TextsCorpus(tmp_path_factory.mktemp("corpus"), real_texts())


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="session")
def bpe(corpus, store):
    return Tokenizer(train(BpeConfig(vocab_size=1024), corpus, seed=1, store=store, reporter=Silent()))


@pytest.fixture(scope="session")
def shards(corpus, bpe, store):
    return Shards(write(corpus, bpe, store=store, reporter=Silent(), file_bytes=20_001))
