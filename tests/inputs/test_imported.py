"""Tokenizers made elsewhere: their ids stay, what they lack is appended, no text is a special."""

from __future__ import annotations

import base64
import itertools
import json

import numpy as np
import pytest

from seedstock.errors import DataError
from seedstock.inputs.tokenizers import Tokenizer
from seedstock.inputs.tokenizers.config import ImportedConfig
from seedstock.inputs.tokenizers.train import inputs_of, train
from seedstock.ledger.store import Store
from seedstock.progress import Silent

SPELLED = "<s> </s> <unk> <|bos|> <|endoftext|> <|reserved_3|> <|im_start|>"


def imported(tmp_path, corpus, path, **more):
    config = ImportedConfig(path=str(path), **more)
    return Tokenizer(train(config, corpus, seed=1, store=Store(tmp_path / "runs"), reporter=Silent()))


def lines(data_pack, count):
    import zstandard

    with zstandard.open(data_pack / "multilingual" / "udhr.jsonl.zst", "rt", encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file]
    return [line for text in texts for line in text.split("\n")[:12]][:count]


@pytest.fixture(scope="module")
def foreign(tmp_path_factory, corpus):
    """A byte-level BPE as others make it: one special, no padding."""
    from tokenizers import Tokenizer as Backend
    from tokenizers import decoders, models, pre_tokenizers, trainers

    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=701,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator((row["text"] for row in corpus.rows), trainer)
    backend.enable_truncation(16)
    folder = tmp_path_factory.mktemp("foreign")
    backend.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": "<|endoftext|>"}}))
    backend.no_truncation()
    return folder, backend


def test_ids_stay_and_specials_are_appended(foreign, corpus, tmp_path):
    folder, backend = foreign
    ours = imported(tmp_path, corpus, folder)
    assert ours.vocab_size % 64 == 0
    for row in corpus.rows:
        assert ours.encode(row["text"]).tolist() == backend.encode(row["text"]).ids
        assert ours.decode(ours.encode(row["text"]).tolist()) == row["text"]
    old = backend.get_vocab()
    said = json.loads((ours.folder / "report.json").read_text())["imported"]
    assert sorted(entry["id"] for entry in said["appended"]) == list(range(len(old), ours.vocab_size))
    assert ours.specials["eos"] == ours.specials["bos"] == old["<|endoftext|>"]
    assert ours.specials["pad"] >= len(old) and ours.specials["im_end"] >= len(old)
    assert sum(name.startswith("reserved_") for name in ours.specials) >= 16
    assert not ours.byte_lengths[list(ours.specials.values())].any() and ours.exact


def test_transformers_reads_what_was_imported(foreign, corpus, tmp_path):
    transformers = pytest.importorskip("transformers")
    ours = imported(tmp_path, corpus, foreign[0])
    fast = transformers.AutoTokenizer.from_pretrained(ours.folder)
    for row in corpus.rows:
        assert fast(row["text"])["input_ids"] == [ours.specials["bos"], *ours.encode(row["text"]).tolist()]
    assert (fast.pad_token_id, fast.eos_token_id) == (ours.specials["pad"], ours.specials["eos"])


def test_names_can_be_given(foreign, corpus, tmp_path):
    text = next(iter(foreign[1].get_vocab()))
    ours = imported(tmp_path, corpus, foreign[0], named={"bos": text}, specials=("speaker",), reserved=3)
    assert ours.specials["bos"] == foreign[1].get_vocab()[text] != ours.specials["eos"]
    assert ours.specials["speaker"] > ours.specials["eos"]
    with pytest.raises(DataError, match="not in the vocabulary"):
        imported(tmp_path, corpus, foreign[0], named={"bos": "no such token"})


def test_our_own_tokenizer_comes_back_unchanged(bpe, corpus, tmp_path):
    ours = imported(tmp_path, corpus, bpe.folder)
    assert (ours.vocab_size, ours.specials) == (bpe.vocab_size, bpe.specials)
    assert json.loads((ours.folder / "report.json").read_text())["imported"]["appended"] == []


def test_the_content_counts_and_not_the_path(bpe, corpus, tmp_path):
    (tmp_path / "copy").mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "copy" / name).write_bytes((bpe.folder / name).read_bytes())
    folders = (bpe.folder, tmp_path / "copy")
    first, second = (inputs_of(ImportedConfig(path=str(folder)), corpus, seed=1) for folder in folders)
    assert first == second
    (tmp_path / "copy" / "tokenizer.json").write_text("{}")
    assert inputs_of(ImportedConfig(path=str(tmp_path / "copy")), corpus, seed=1) != first


def by_ranks(word, ranks):
    """What a file of ranks means, written plainly: the best pair first, until none is left."""
    parts = [word] if word in ranks else [bytes([byte]) for byte in word]
    while True:
        pairs = [(ranks.get(a + b, 1 << 40), i) for i, (a, b) in enumerate(itertools.pairwise(parts))]
        if not pairs or min(pairs)[0] == 1 << 40:
            return [ranks[part] for part in parts]
        at = min(pairs)[1]
        parts[at : at + 2] = [parts[at] + parts[at + 1]]


@pytest.fixture(scope="module")
def ranks(bpe, tmp_path_factory):
    tokens = [item for number, item in enumerate(bpe.bytes_of(range(bpe.vocab_size))) if bpe.byte_lengths[number]]
    file = tmp_path_factory.mktemp("ranks") / "small.tiktoken"
    file.write_bytes(b"".join(b"%s %d\n" % (base64.b64encode(token), rank) for rank, token in enumerate(tokens)))
    return file, {token: rank for rank, token in enumerate(tokens)}


@pytest.mark.parametrize("pattern", ["gpt2", "cl100k", "o200k"])
def test_a_tiktoken_file_of_ranks_has_its_own_ids(ranks, corpus, tmp_path, pattern):
    regex = pytest.importorskip("regex")
    from seedstock.inputs.tokenizers.importing.tiktoken import PATTERNS

    file, known = ranks
    ours = imported(tmp_path, corpus, file, pattern=pattern)
    for row in corpus.rows[::2]:
        words = [match.group() for match in regex.finditer(PATTERNS[pattern], row["text"])]
        wanted = [number for word in words for number in by_ranks(word.encode(), known)]
        assert ours.encode(row["text"]).tolist() == wanted
        assert ours.decode(wanted) == row["text"]


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def pieces_model(request, data_pack, tmp_path_factory):
    library = pytest.importorskip("sentencepiece")
    prefix = tmp_path_factory.mktemp("pieces") / request.param
    library.SentencePieceTrainer.train(
        sentence_iterator=iter(lines(data_pack, 2000)),
        model_prefix=str(prefix),
        vocab_size=2000,
        model_type=request.param,
        byte_fallback=True,
        character_coverage=0.99,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return prefix.with_suffix(".model"), library.SentencePieceProcessor(model_file=str(prefix) + ".model")


def test_a_sentencepiece_model_has_its_own_ids(pieces_model, data_pack, corpus, tmp_path):
    file, theirs = pieces_model
    ours = imported(tmp_path, corpus, file)
    texts = lines(data_pack, 4000)
    same = [own.tolist() == theirs.encode(text) for own, text in zip(ours.encode_batch(texts), texts, strict=True)]
    assert sum(same) / len(same) > 0.998  # the libraries normalize marks in the middle of a few syllables apart
    assert ours.specials["bos"] == theirs.bos_id() and ours.specials["eos"] == theirs.eos_id()
    plain = "All human beings are born free and equal."
    assert ours.decode(ours.encode(plain).tolist()) == plain and not ours.exact


def test_no_text_is_a_special(pieces_model, foreign, ranks, corpus, tmp_path):
    for path in (pieces_model[0], foreign[0], ranks[0]):
        ours = imported(tmp_path, corpus, path)
        special = set(ours.specials.values()) - {ours.specials.get("unk")}
        for text in (SPELLED, "\ufdd0".join(SPELLED.split()), "\ufdd0" + SPELLED):
            assert not special & set(ours.encode(text).tolist()), path
            assert not special & set(ours.encode_batch([text, text])[1].tolist())


def test_files_that_are_no_tokenizers_say_so(corpus, tmp_path):
    def refuses(path, match):
        with pytest.raises(DataError, match=match) as error:
            imported(tmp_path, corpus, path)
        assert error.value.fix

    refuses(tmp_path / "nothing", "no such file")
    (tmp_path / "empty").mkdir()
    refuses(tmp_path / "empty", "no tokenizer files")
    for name, content in {
        "a.json": b"{}",
        "b.json": b"\xff\xfe",
        "c.tiktoken": b"IQ== 0\nnot a line\n",
        "d.tiktoken": b"IQ== 0\n",
        "e.model": b"\x0a\xff\xff\xff",
        "f.model": b"",
        "g.model": bytes(np.random.default_rng(1).integers(0, 256, 400, np.uint8)),
    }.items():
        (tmp_path / name).write_bytes(content)
        refuses(tmp_path / name, "tokenizer|not a token|no rank|sentencepiece")
