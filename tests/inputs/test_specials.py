"""Special tokens that a recipe or an objective asks for besides ours."""

from __future__ import annotations

import pytest

from seedstock.inputs.tokenizers import Tokenizer
from seedstock.inputs.tokenizers.config import BpeConfig, BytesConfig, CharactersConfig
from seedstock.inputs.tokenizers.train import train
from seedstock.progress import Silent

CONFIGS = {"bpe": BpeConfig(vocab_size=1024), "bytes": BytesConfig(), "characters": CharactersConfig()}


@pytest.mark.parametrize("kind", CONFIGS)
def test_further_specials_follow_ours_and_are_not_read_out_of_text(kind, corpus, store):
    config = CONFIGS[kind].model_copy(update={"specials": ("sentinel_0", "mask", "sentinel_1")})
    tokenizer = Tokenizer(train(config, corpus, seed=1, store=store, reporter=Silent()))
    names = list(tokenizer.specials)
    assert names.count("mask") == 1  # it is one of ours already
    assert names.index("fim_suffix") < names.index("sentinel_0") < names.index("sentinel_1") < names.index("reserved_0")
    assert tokenizer.vocab_size % 64 == 0
    ids = tokenizer.encode("a <|sentinel_0|> b").tolist()
    assert tokenizer.specials["sentinel_0"] not in ids
