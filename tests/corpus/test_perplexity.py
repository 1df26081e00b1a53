"""The n-gram model against a plain reading of Chen and Goodman, and the signal that asks it."""

import json
from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pytest
from batches import documents
from hypothesis import given, settings
from hypothesis import strategies as st
from trained_models import perplexity, prose_and_code

from seedstock.cli import main
from seedstock.corpus.classify import kneser_ney
from seedstock.corpus.signals.perplexity import Perplexity
from seedstock.errors import DataError, IntegrityError

LETTERS = "abcdefgh"


def array(texts):
    return pa.array(texts, pa.large_string())


class Plain:
    """Modified Kneser-Ney with dictionaries; nothing is pruned and every word is known."""

    def __init__(self, texts, order):
        self.order = order
        raw = [Counter() for _ in range(order + 1)]
        for text in texts:
            words = ["<s>", *text.split()]
            for n in range(1, order + 1):
                raw[n].update(tuple(words[at : at + n]) for at in range(len(words) - n + 1))
        self.tables = {order: raw[order]}
        for n in range(order - 1, 0, -1):
            before = defaultdict(set)
            for gram in raw[n + 1]:
                before[gram[1:]].add(gram[0])
            self.tables[n] = {g: raw[n][g] if g[0] == "<s>" else len(before[g]) for g in raw[n]}
        self.tables[1] = {gram: count for gram, count in self.tables[1].items() if gram != ("<s>",)}
        self.words = len(self.tables[1]) + 1  # and one for all unknown words
        self.discount = {n: kneser_ney.discounts(np.array([*table.values()])) for n, table in self.tables.items()}

    def p(self, word, context):
        n = len(context) + 1
        table = self.tables[n]
        follow = {gram: count for gram, count in table.items() if gram[:-1] == context}
        lower = self.p(word, context[1:]) if context else 1 / self.words
        total = sum(follow.values())
        if not total:
            return lower
        taken = {gram: min(count, self.discount[n][min(count, 3)]) for gram, count in follow.items()}
        own = follow.get((*context, word), 0) - taken.get((*context, word), 0)
        return own / total + sum(taken.values()) / total * lower

    def score(self, text):
        words = ["<s>", *text.split()]
        spans = [(max(0, at - self.order + 1), at) for at in range(1, len(words))]
        return sum(np.log(self.p(words[at], tuple(words[first:at]))) for first, at in spans)


def drawn(count, seed=0):
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(len(LETTERS), 0.4), size=len(LETTERS))
    texts = []
    for _ in range(count):
        at, words = int(rng.integers(len(LETTERS))), []
        for _ in range(int(rng.integers(5, 40))):
            at = int(rng.choice(len(LETTERS), p=weights[at]))
            words.append(LETTERS[at])
        texts.append(" ".join(words))
    return texts


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_probabilities_are_those_of_the_paper(order):
    texts = drawn(60)
    model, plain = kneser_ney.train(texts, order=order, rare=1, prune=0), Plain(texts, order)
    new = [*drawn(12, seed=1), "a", "h h h h h"]
    assert model.score(array(new))[0] == pytest.approx([plain.score(text) for text in new], rel=1e-4)


def test_what_may_follow_adds_up_to_one():
    prose, _ = prose_and_code()
    texts = [text[:400] for text in prose[:150]]
    model = kneser_ney.train(texts, order=3, rare=2, prune=1)
    from seedstock.corpus.classify.tokens import tokens

    counts = Counter(found.vocabulary[int(code)].as_py() for found in tokens(array(texts)) for code in found.codes)
    known = [word for word, count in counts.items() if count >= 2]
    strangers = len(counts) - len(known)
    for context in ("", "return the", "the", "zzzz the", "a list of", "zzzz zzzz"):
        before = model.score(array([context]))[0][0]
        after = model.score(array([f"{context} {word}" for word in [*known, "qqqqq"]]))[0]
        chances = np.exp(after - before)
        assert chances[:-1].sum() + strangers * chances[-1] == pytest.approx(1, abs=1e-4), context


@settings(max_examples=30)
@given(st.lists(st.lists(st.sampled_from([*LETTERS, "zz"]), max_size=12), min_size=1, max_size=8))
def test_a_text_s_score_does_not_depend_on_its_batch(texts):
    model, texts = kneser_ney.train(drawn(60), order=3), [" ".join(words) for words in texts]
    whole = model.score(array(texts))
    assert [*whole[0]] == [model.score(array([text]))[0][0] for text in texts]
    assert [*whole[1]] == [len(text.split()) for text in texts]
    assert [*whole[2]] == [sum(word != "zz" for word in text.split()) for text in texts]


def test_keys_are_found_and_others_are_not():
    rng = np.random.default_rng(0)
    keys = np.unique(rng.integers(0, 1 << 63, 5000, np.uint64) << np.uint64(1))
    table = kneser_ney.Table.of(keys, np.zeros(len(keys)), np.zeros(len(keys)))
    assert table.find(keys).tolist() == [*range(len(keys))]
    assert (table.find(keys + np.uint64(1)) == -1).all()
    assert (kneser_ney.Table.of(keys[:0], keys[:0], keys[:0]).find(keys) == -1).all()


def test_more_of_the_context_is_less_surprising():
    prose, _ = prose_and_code()
    new = array(prose[1::2][:200])
    found = [kneser_ney.train(prose[::2], order=order).score(new)[:2] for order in (1, 2, 3)]
    values = [kneser_ney.perplexity(*one) for one in found]
    assert values[0] > values[1] > values[2]


def test_words_in_disorder_are_surprising():
    texts = prose_and_code()[0][1::2][:200]
    rng = np.random.default_rng(0)
    mixed = [" ".join(rng.permutation(text.split())) for text in texts]
    found = Perplexity(model=perplexity()).compute(documents(texts + mixed)).column("perplexity").to_numpy()
    assert np.median(found[200:]) > 2 * np.median(found[:200])
    assert (found[200:] > found[:200]).mean() > 0.95


def test_odd_texts_have_a_number_or_none():
    odd = ["", " \n", "word", "7" * 10_000, "😀" * 3000, "a\0b\0", "Я и you 我", "x " * 300_000, "qq " * 300_000]
    found = Perplexity(model=perplexity()).compute(documents(odd)).to_pylist()
    assert [row["perplexity"] is None for row in found] == [True, True] + [False] * 7
    assert all(np.isfinite(row["perplexity"]) and row["perplexity"] > 0 for row in found[2:])
    assert all(0 <= row["known"] <= 1 for row in found)


def test_the_command_trains_a_model_that_is_verified(tmp_path, capsys):
    prose, _ = prose_and_code()
    file = tmp_path / "prose.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in prose[:300]))
    out = tmp_path / "model"
    assert main(["perplexity", "train", str(file), "--out", str(out), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["held_out"]["perplexity"] < report["held_out"]["perplexity_of_single_words"]
    assert Perplexity(model=str(out)).sha256 == report["sha256"]
    (out / "2-values.npy").write_bytes((out / "2-values.npy").read_bytes()[:-4] + b"\1\1\1\1")
    with pytest.raises(IntegrityError, match="not what model"):
        Perplexity(model=str(out)).compute(documents(["x"]))
    with pytest.raises(DataError, match="at least 1000"):
        kneser_ney.train(["too little"])
