"""Tokenizers: identical ids in the ecosystem, nothing lost, specials never read out of text."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from texts_corpus import TextsCorpus

from seedstock.errors import DataError, IntegrityError
from seedstock.inputs.tokenizers import Tokenizer
from seedstock.inputs.tokenizers.check import choose
from seedstock.inputs.tokenizers.config import BpeConfig, BytesConfig, CharactersConfig, UnigramConfig, WordPieceConfig
from seedstock.inputs.tokenizers.encoders import Pieces
from seedstock.inputs.tokenizers.pieces import PATTERN, chunks, pieces
from seedstock.inputs.tokenizers.sample import sample
from seedstock.inputs.tokenizers.train import train
from seedstock.ledger import manifest
from seedstock.ledger.store import Store
from seedstock.progress import Silent

# Text that tries the cuts: words, signs, every kind of white space, marks, scripts, and specials spelled out.
TRICKY = st.lists(
    st.sampled_from(
        [
            *"a Zé9٣'\"(_#~<|>\t\n\r\f\v\x1c\x85\u3000\xa0\u0301न्中🙂ßſ",
            "  ",
            "\n\n",
            "\r\n",
            "'s",
            "'LL",
            "foo",
            "12345",
            "<|bos|>",
            "<|reserved_3|>",
            "<|im_",
            "end|>",
        ]
    ),
    max_size=40,
).map("".join)


def build(config, corpus, store):
    return Tokenizer(train(config, corpus, seed=1, store=store, reporter=Silent()))


@pytest.fixture(scope="module", params=["bpe", "unigram", "wordpiece", "bytes", "characters"])
def tokenizer(request, bpe, corpus, store):
    learnt = {"unigram": UnigramConfig(vocab_size=1024), "wordpiece": WordPieceConfig(vocab_size=1024)}
    configs = {"bytes": BytesConfig(), "characters": CharactersConfig(), **learnt}
    return bpe if request.param == "bpe" else build(configs[request.param], corpus, store)


@pytest.fixture(scope="module")
def library(tokenizer):
    from tokenizers import Tokenizer as Backend

    backend = Backend.from_file(str(tokenizer.folder / "tokenizer.json"))
    backend.encode_special_tokens = True
    return backend


def check(tokenizer, library, text):
    ids = tokenizer.encode(text)
    assert ids.dtype == np.uint32
    assert ids.tolist() == library.encode(text, add_special_tokens=False).ids
    unknown = tokenizer.specials.get("unk")
    assert not set(ids.tolist()) & set(tokenizer.specials.values()) - {unknown}
    if unknown not in ids:
        assert tokenizer.decode(ids.tolist()) == text
        assert tokenizer.byte_lengths[ids].sum() == len(text.encode())


@settings(max_examples=200, deadline=None)
@given(text=st.one_of(TRICKY, st.text()))
def test_ids_are_the_librarys_and_nothing_is_lost(tokenizer, library, text):
    check(tokenizer, library, text)


def test_real_texts_have_the_librarys_ids(tokenizer, library, corpus):
    for row in corpus.rows:
        check(tokenizer, library, row["text"])


def test_scripts_of_the_world_have_the_librarys_ids(tokenizer, library, data_pack):
    import zstandard

    with zstandard.open(data_pack / "multilingual" / "udhr.jsonl.zst", "rt", encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file]
    assert len(texts) > 100
    for text in texts[::5]:
        check(tokenizer, library, text[:3000])


@settings(max_examples=200, deadline=None)
@given(text=st.one_of(TRICKY, st.text()), size=st.integers(1, 30))
def test_cuts_are_where_tokens_end(bpe, text, size):
    assert "".join(pieces(text)) == text
    parts = list(chunks(text, size))
    assert "".join(parts) == text
    assert np.concatenate(bpe.encode_batch(parts)).tolist() == bpe.encode(text).tolist()


def test_a_batch_is_its_texts_one_by_one(tokenizer, corpus):
    texts = ["", *(row["text"] for row in corpus.rows), ""]
    for ids, text in zip(tokenizer.encode_batch(texts), texts, strict=True):
        assert ids.tolist() == tokenizer.encode(text).tolist()


def test_forgetting_pieces_changes_no_id(bpe, corpus, monkeypatch):
    monkeypatch.setattr("seedstock.inputs.tokenizers.encoders.REMEMBERED", 10)
    small = Tokenizer(bpe.folder)
    for row in corpus.rows:
        assert small.encode(row["text"]).tolist() == bpe.encode(row["text"]).tolist()


def test_transformers_gives_the_same_ids(tokenizer, corpus):
    transformers = pytest.importorskip("transformers")
    fast = transformers.AutoTokenizer.from_pretrained(tokenizer.folder)
    assert len(fast) == tokenizer.vocab_size
    for row in corpus.rows:
        ids = tokenizer.encode(row["text"]).tolist()
        assert fast(row["text"], add_special_tokens=False)["input_ids"] == ids
        assert fast(row["text"])["input_ids"] == [tokenizer.specials["bos"], *ids]
        assert fast.decode(ids) == tokenizer.decode(ids) == row["text"]
    for name in ("bos", "eos", "pad", "mask"):
        assert getattr(fast, f"{name}_token_id") == tokenizer.specials[name]
    spelled = fast("<|bos|>x", add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert tokenizer.specials["bos"] not in spelled and tokenizer.specials["bos"] not in tokenizer.encode("<|bos|>x")


def test_the_chat_template_marks_what_an_assistant_says(bpe):
    transformers = pytest.importorskip("transformers")
    fast = transformers.AutoTokenizer.from_pretrained(bpe.folder)
    turns = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Me."}]
    chat = fast.apply_chat_template(turns, tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
    marked = [number for number, mark in zip(chat["input_ids"], chat["assistant_masks"], strict=True) if mark]
    assert fast.decode(marked) == "Me.<|im_end|>"
    assert chat["input_ids"][0] == bpe.specials["bos"]
    assert fast.apply_chat_template(turns[:1], add_generation_prompt=True, tokenize=False).endswith("assistant\n")


def test_vocabularies_are_padded_with_spare_specials(tokenizer):
    assert tokenizer.vocab_size % 64 == 0
    assert list(tokenizer.specials.values()) == list(range(len(tokenizer.specials)))
    assert sum(name.startswith("reserved_") for name in tokenizer.specials) >= 16
    assert (tokenizer.byte_lengths[len(tokenizer.specials) :] > 0).all()
    assert not tokenizer.byte_lengths[: len(tokenizer.specials)].any()


def test_an_unseen_character_is_unknown_and_counted(tmp_path):
    few = TextsCorpus(tmp_path, [("s", "d", "en", "abc\n" * 100, "train")])
    tokenizer = build(CharactersConfig(), few, Store(tmp_path / "runs"))
    assert tokenizer.encode("a🙂b").tolist()[1] == tokenizer.specials["unk"]
    assert tokenizer.decode(tokenizer.encode("a🙂b").tolist()) == "a<|unk|>b"
    report = json.loads((tokenizer.folder / "report.json").read_text())
    assert report["unknown"] == {"token": "unk", "count": 0}


def test_the_report_measures_the_corpus(bpe, corpus):
    report = json.loads((bpe.folder / "report.json").read_text())
    total = sum(stratum["bytes"] for stratum in corpus.strata)
    tokens = sum(len(bpe.encode(row["text"])) for row in corpus.rows if row["split"] == "train")
    assert report["sample"]["bytes"] == total
    assert abs(report["sample"]["tokens"] - tokens) == 0
    assert report["bytes_per_token"]["all"] == round(total / tokens, 4)
    assert set(report["bytes_per_token"]["by_language"]) == {"en", "de", "hi", "zh", "ar"}
    assert report["round_trip"]["exact"] == report["round_trip"]["chunks"] > 0
    assert 0 < report["vocabulary"]["used"] <= report["vocabulary"]["tokens"] == 1024 - len(bpe.specials)


@pytest.mark.parametrize("kind", [UnigramConfig, WordPieceConfig])
def test_learnt_vocabularies_are_the_same_every_time(kind, corpus, store, tmp_path):
    once, again = (build(kind(vocab_size=1024), corpus, where) for where in (store, Store(tmp_path)))
    assert (once.folder / "tokenizer.json").read_bytes() == (again.folder / "tokenizer.json").read_bytes()


def test_unigram_probabilities_are_those_of_plain_expectation_maximization(corpus):
    """One step over three words, with every way of cutting written out."""
    from seedstock.inputs.tokenizers import unigram

    words, counts = [b"abab", b"ba", b"c"], np.array([3, 2, 5])
    names = [b"a", b"b", b"c", b"ab", b"ba", b"bab"]
    score = np.log(np.array([0.2, 0.1, 0.1, 0.3, 0.2, 0.1]))

    def cuts(word):
        if not word:
            yield []
        for number, name in enumerate(names):
            if word.startswith(name):
                yield from ([number, *rest] for rest in cuts(word[len(name) :]))

    wanted = np.zeros(len(names))
    for word, count in zip(words, counts, strict=True):
        ways = list(cuts(word))
        chance = np.array([np.exp(sum(score[number] for number in way)) for way in ways])
        for way, share in zip(ways, chance / chance.sum(), strict=True):
            for number in way:
                wanted[number] += count * share
    text = unigram._Text.of(words, counts)
    assert unigram._expected(text, unigram._edges(text, names), score) == pytest.approx(wanted)


def test_training_again_gives_the_same_bytes_and_is_skipped_where_done(bpe, corpus, store, tmp_path):
    again = build(BpeConfig(vocab_size=1024), corpus, Store(tmp_path))
    assert again.folder != bpe.folder
    assert manifest.read(again.folder).root == manifest.read(bpe.folder).root
    assert manifest.problems(bpe.folder) == []
    before = (bpe.folder / "manifest.json").stat().st_mtime_ns
    assert build(BpeConfig(vocab_size=1024), corpus, store).folder == bpe.folder
    assert (bpe.folder / "manifest.json").stat().st_mtime_ns == before


def test_a_vocabulary_that_the_text_cannot_support_says_what_is_reachable(tmp_path):
    few = TextsCorpus(tmp_path, [("s", "d", "en", "the cat sat on the mat\n" * 50, "train")])
    with pytest.raises(DataError, match="larger than the text supports: 29") as error:
        build(BpeConfig(vocab_size=8192), few, Store(tmp_path / "runs"))
    assert "bytes" in error.value.fix
    assert list((tmp_path / "runs").rglob("manifest.json")) == []


def test_a_sample_is_balanced_over_strata(corpus):
    sizes = {}
    for chunk in sample(corpus, 30_000, seed=1):
        sizes[chunk.language] = sizes.get(chunk.language, 0) + len(chunk.text.encode())
    whole = {s["language"]: s["bytes"] for s in corpus.strata if s["language"] != "en"}
    assert {code: sizes[code] for code in whole} == whole
    assert sizes.get("en", 0) < sum(s["bytes"] for s in corpus.strata if s["language"] == "en")


def test_mistakes_say_what_to_do(tmp_path):
    with pytest.raises(ValidationError, match="write 8128 or 8192"):
        BpeConfig(vocab_size=8190)
    with pytest.raises(IntegrityError, match="missing"):
        Tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"model": {}}')
    with pytest.raises(IntegrityError, match="not a tokenizer"):
        Tokenizer(tmp_path)
    with pytest.raises(DataError, match="no training text"):
        build(CharactersConfig(), TextsCorpus(tmp_path, []), Store(tmp_path / "runs"))


@pytest.mark.parametrize("kind", [BpeConfig, UnigramConfig, WordPieceConfig])
def test_every_encoder_gives_the_librarys_ids(kind, corpus, store, data_pack):
    from seedstock.inputs.tokenizers.encoders import candidates

    made = build(kind(vocab_size=1024), corpus, store)
    found = list(candidates(made._record, made._library, made._own_words))
    assert len(found) >= 2

    @settings(max_examples=150, deadline=None)
    @given(texts=st.lists(st.one_of(TRICKY, st.text(), st.text(" \n\rx-", max_size=300)), max_size=3))
    def same(texts):
        wanted = [ids.tolist() for ids in made._library.encode(texts)]
        for encoder in found:
            assert [ids.tolist() for ids in encoder.encode(texts)] == wanted, encoder.name

    same()
    texts = [row["text"] for row in corpus.rows] + [
        "é" * 500,
        "=" * 500 + "\n" * 500 + " " * 500,
        "\x00" * 300,
        "🙂" * 99,
    ]
    wanted = made._library.encode(texts)
    for encoder in found:
        for own, other in zip(encoder.encode(texts), wanted, strict=True):
            assert own.tolist() == other.tolist(), encoder.name


def test_the_self_check_keeps_the_fastest_that_agrees(bpe, corpus):
    said = []

    class Loud(Silent):
        def say(self, text):
            said.append(text)

    class Wrong:
        name = "wrong 1.0"

        def encode(self, texts):
            return [ids + 1 for ids in bpe._library.encode(texts)]

    class Broken(Wrong):
        name = "broken 1.0"

        def encode(self, texts):
            raise RuntimeError("no")

    texts = [row["text"] for row in corpus.rows]
    chosen, choice = choose([Broken(), Wrong(), Pieces(bpe._library), bpe._library], bpe._library, texts, Loud())
    assert isinstance(chosen, Pieces) and choice.encoder == chosen.name
    assert choice.texts == len(texts) and choice.bytes == sum(len(text.encode()) for text in texts)
    assert [entry["encoder"] for entry in choice.rejected] == ["broken 1.0", "wrong 1.0"] and len(said) == 2


def test_shards_say_who_encoded(shards, bpe):
    encoder = json.loads((shards.folder / "index.json").read_text())["encoder"]
    assert encoder["texts"] > 0 and encoder["reference"].startswith("tokenizers ") and not encoder["rejected"]


def test_odd_texts(tokenizer, library):
    for text in ("", "\x00", "\x00\x00a\x00", "🙂🙃👩‍👩‍👧", "\ufeff\ufffe", "\u200b", "\r", " "):
        check(tokenizer, library, text)
    with pytest.raises(DataError, match="text 1 has the lone surrogate U\\+D83D at character 2") as error:
        tokenizer.encode_batch(["fine", "ab\ud83d"])
    assert "errors=" in error.value.fix


def test_texts_of_any_length_are_encoded_in_parts(tokenizer, monkeypatch, corpus):
    texts = [corpus.rows[0]["text"], "no-space" * 500, "\n".join(["a line"] * 300), ""]
    whole = [ids.tolist() for ids in tokenizer.encode_batch(texts)]
    monkeypatch.setattr("seedstock.inputs.tokenizers.tokenizer.LONG", 1000)
    parts = tokenizer.encode_batch(texts)
    assert [parts[i].tolist() for i in (0, 2, 3)] == [whole[i] for i in (0, 2, 3)]
    assert tokenizer.decode(parts[1].tolist()) == texts[1]


def test_the_ecosystems_trainer_learns_the_same_merges(bpe, corpus):
    from tokenizers import Regex, models, pre_tokenizers, trainers
    from tokenizers import Tokenizer as Backend

    theirs = Backend(models.BPE())
    theirs.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(PATTERN), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=1024,
        min_frequency=2,
        special_tokens=[f"<|{name}|>" for name in bpe.specials],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    theirs.train_from_iterator((row["text"] for row in corpus.rows if row["split"] == "train"), trainer)
    ours, other = (json.loads(text)["model"] for text in ((bpe.folder / "tokenizer.json").read_text(), theirs.to_str()))
    assert ours["vocab"] == other["vocab"]
    assert ours["merges"] == other["merges"]
