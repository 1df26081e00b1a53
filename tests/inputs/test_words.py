"""Whole words as tokens: runs of letters, the most frequent ones, and none of them a special token."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from texts_corpus import TextsCorpus, real_texts

from seedstock.errors import DataError
from seedstock.inputs.tokenizers import Tokenizer
from seedstock.inputs.tokenizers.config import WordsConfig
from seedstock.inputs.tokenizers.train import train
from seedstock.ledger.store import Store
from seedstock.progress import Silent

regex = pytest.importorskip("regex")


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    folder = tmp_path_factory.mktemp("words")
    corpus = TextsCorpus(folder, real_texts())

    def build(**options):
        config = WordsConfig(**{"vocab_size": 512, "min_frequency": 2, **options})
        return Tokenizer(train(config, corpus, seed=1, store=Store(folder / "runs"), reporter=Silent())), corpus

    return build


def written(corpus, lowercase=True):
    texts = [text for rows in corpus.texts("train") for text in rows.column("text").to_pylist()]
    return [word for text in texts for word in regex.findall(r"[\p{L}\p{M}]+", text.lower() if lowercase else text)]


def test_the_most_frequent_words_are_tokens(build):
    tokenizer, corpus = build()
    counts = Counter(written(corpus))
    own = {word for word, number in tokenizer.written.items() if number not in tokenizer.specials.values()}
    assert len(own) == 512 - len(tokenizer.specials) and tokenizer.kind == "words" and not tokenizer.exact
    rarest = min(counts[word] for word in own if word in counts)
    missing = [word for word, count in counts.items() if count > rarest + 3 and word not in own]
    assert not missing  # contractions are counted in parts, so that a few occurrences may differ


def test_other_words_are_unknown_and_signs_are_dropped(build):
    tokenizer, _ = build()
    ids = tokenizer.encode("The   return, of 12 Qwertzuiop!\n\nself.import").tolist()
    assert tokenizer.decode(ids, skip_specials=True) == "the return of self import"
    assert ids.count(tokenizer.specials["unk"]) == 1


def test_case_stays_where_it_is_asked_for(build):
    tokenizer, _ = build(lowercase=False)
    assert {"None", "The"} & tokenizer.written.keys()


@settings(max_examples=30, deadline=None)
@given(text=st.text() | st.lists(st.sampled_from(["<|bos|>", "<|unk|>", "the", " ", "İ", "ß", "\u0301"])).map("".join))
def test_no_text_is_a_special_token_but_the_unknown(build, text):
    tokenizer, _ = build()
    forbidden = set(tokenizer.specials.values()) - {tokenizer.specials["unk"]}
    assert not forbidden & set(tokenizer.encode(text).tolist())


def test_more_words_than_there_are_is_an_error(build):
    with pytest.raises(DataError, match="larger than the text supports"):
        build(vocab_size=500_032)
