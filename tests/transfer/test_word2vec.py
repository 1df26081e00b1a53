"""The text format of word2vec: what is written reads back bit for bit, here and by gensim; damage is named."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seedstock.errors import DataError, SeedstockError
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.models.configs.embedding import EmbeddingConfig
from seedstock.transfer import word2vec

WORDS = ["<|pad|>", "the", "größe", "中文", "a b", "né", "\u00a0", "word"]
TOKENIZER = SimpleNamespace(specials={"pad": 0}, written={word: number for number, word in enumerate(WORDS)})


def network(seed=1, width=5):
    made = EmbeddingConfig(width=width).build(len(WORDS), seed)
    with torch.no_grad():
        made.head.weight.normal_()
    return made


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99), width=st.integers(1, 9), power=st.integers(-30, 30))
def test_what_is_written_reads_back(tmp_path_factory, seed, width, power):
    made = network(seed, width)
    with torch.no_grad():
        made.embedding.tokens.weight.mul_(10.0**power)
    folder = tmp_path_factory.mktemp("words") / "out"
    assert word2vec.export(made, TOKENIZER, folder)["passed"]
    words, vectors = word2vec.read(folder / "vectors.txt")
    assert words == ["the", "größe", "中文", "né", "word"]  # what white space would part is left out
    assert np.array_equal(vectors, made.embedding.tokens.weight.detach().numpy()[[1, 2, 3, 5, 7]])
    assert np.array_equal(word2vec.read(folder / "contexts.txt")[1], made.head.weight.detach().numpy()[[1, 2, 3, 5, 7]])


def test_gensim_reads_the_same(tmp_path):
    models = pytest.importorskip("gensim.models")
    made = network()
    word2vec.export(made, TOKENIZER, tmp_path / "out")
    theirs = models.KeyedVectors.load_word2vec_format(str(tmp_path / "out/vectors.txt"))
    words, vectors = word2vec.read(tmp_path / "out/vectors.txt")
    assert theirs.index_to_key == words and np.array_equal(theirs.vectors, vectors)


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("", 1, "how many"),
        ("two 3\n", 1, "how many"),
        ("2 2\na 1 2\n", 2, "1 words"),
        ("1 2\na 1 2\nb 1 2\n", 3, "more than 1"),
        ("1 2\na 1\n", 2, "1 numbers"),
        ("1 2\na 1 x\n", 2, "no number"),
    ],
)
def test_damage_is_named(tmp_path, text, line, what):
    (tmp_path / "vectors.txt").write_text(text)
    with pytest.raises(DataError, match=what) as raised:
        word2vec.read(tmp_path / "vectors.txt")
    assert str(raised.value.where).endswith(f"vectors.txt:{line}")


def test_other_models_and_folders_that_exist_are_refused(tmp_path):
    with pytest.raises(SeedstockError, match="no vectors of words alone"):
        word2vec.export(DecoderConfig(width=32, layers=1, heads=2).build(64), TOKENIZER, tmp_path / "out")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/file").touch()
    with pytest.raises(SeedstockError, match="exists already"):
        word2vec.export(network(), TOKENIZER, tmp_path / "out")
