"""Counts of words: the same however they are made, merged or stored; and the merges that are learnt from them."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from texts_corpus import TextsCorpus, real_texts

from seedstock.inputs.tokenizers import native
from seedstock.inputs.tokenizers.counts import corpus as counting
from seedstock.inputs.tokenizers.counts import counter, table, weigh
from seedstock.inputs.tokenizers.merges import learn
from seedstock.inputs.tokenizers.pieces import PATTERN
from seedstock.ledger.store import Store
from seedstock.progress import Silent

SIGNS = st.text(
    st.sampled_from("a Zé9٣'\"(_~\t\n\r\x0b\x85\u3000\xa0\u0301न्中🙂ßſsSlLvVeErRdDmMtT\x00\x1c"), max_size=60
)
WAYS = ["1", "0"] if native.library() else ["0"]


@pytest.fixture(params=WAYS, ids=lambda on: "native" if on == "1" else "plain")
def way(request, monkeypatch):
    monkeypatch.setenv("SEEDSTOCK_NATIVE", request.param)


def counted(texts):
    made = counter.counter()
    made.add(pa.array(texts, pa.large_string()))
    assert made.memory >= 0
    found = made.drain()
    assert made.drain().num_rows == 0
    words = found["word"].to_pylist()
    assert words == sorted(set(words))
    return dict(zip(words, found["count"].to_pylist(), strict=True))


def by_the_library(texts):
    from tokenizers import Regex, pre_tokenizers

    split = pre_tokenizers.Split(Regex(PATTERN), "isolated")
    return Counter(word.encode() for text in texts for word, _ in split.pre_tokenize_str(text))


@settings(max_examples=300, deadline=None)
@given(texts=st.lists(st.one_of(SIGNS, st.text()), max_size=4))
def test_words_are_the_librarys(texts):
    for on in WAYS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SEEDSTOCK_NATIVE", on)
            assert counted(texts) == by_the_library(texts)


def test_words_of_real_texts_are_the_librarys(way, corpus):
    texts = [row["text"] for row in corpus.rows]
    assert counted(texts) == by_the_library(texts)


def test_long_words_are_cut_between_characters(way):
    texts = ["x" * 1300, "é" * 700, " " + "中" * 400]
    found = counted(texts)
    assert max(map(len, found)) <= counter.LONGEST
    assert sum(len(word) * count for word, count in found.items()) == sum(len(text.encode()) for text in texts)
    assert all(word.decode() for word in found)


def group_tables(groups):
    for words in groups:
        ordered = sorted(words)
        yield pa.table(
            {"word": pa.array(ordered, pa.large_binary()), "count": pa.array([words[w] for w in ordered], pa.int64())}
        )


WORDS = st.dictionaries(st.binary(min_size=1, max_size=3), st.integers(1, 9), max_size=30)


@settings(max_examples=60, deadline=None)
@given(groups=st.lists(WORDS, max_size=7), block=st.integers(1, 5), fan=st.integers(2, 4))
def test_merging_sums_however_it_is_cut(groups, block, fan, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "BLOCK", block)
        patch.setattr(table, "FAN", fan)
        paths = []
        for number, part in enumerate(group_tables(groups)):
            paths.append(folder / f"{number}.parquet")
            table.write(paths[-1], [(("s", "d", "en"), [part])])
        merged = list(table.merge([table.stream(path, ("s", "d", "en")) for path in paths], folder))
    pairs = [pair for part in merged for pair in zip(*part.to_pydict().values(), strict=True)]
    assert pairs == sorted(sum((Counter(words) for words in groups), Counter()).items())


def tables_of(corpus, store, sample=None):
    with Silent().bar("", None, "B") as bar:
        return counting.tables(corpus, store, sample, 1, bar)


def test_tables_of_a_corpus_hold_its_training_words(way, corpus, tmp_path):
    paths = tables_of(corpus, Store(tmp_path))
    words = weigh.weigh(paths, weigh.weights(corpus, ["language"], 1.0), 10**9)
    assert dict(words) == by_the_library(row["text"] for row in corpus.rows if row["split"] == "train")
    few = weigh.weigh(paths, weigh.weights(corpus, ["language"], 1.0), 100)
    assert sorted(few.counts)[0] >= sorted(words.counts, reverse=True)[100]
    assert few.counts.sum() + few.left_out == words.counts.sum() and few.seen == len(words.counts)


def test_spilling_changes_nothing(corpus, tmp_path, monkeypatch):
    whole = [pq.read_table(path) for path in tables_of(corpus, Store(tmp_path / "a"))]
    monkeypatch.setattr(counting, "MEMORY", 1000)
    assert [pq.read_table(path) for path in tables_of(corpus, Store(tmp_path / "b"))] == whole
    assert not list((tmp_path / "b").rglob(".*.tmp"))


KILLED = """
import os, signal, sys
from pathlib import Path
from texts_corpus import TextsCorpus, real_texts
from seedstock.inputs.tokenizers.counts import corpus as counting, table
from seedstock.ledger.store import Store
from seedstock.progress import Silent

def write(path, groups, plain=table.write):
    plain(path, groups)
    os.kill(os.getpid(), signal.SIGKILL)

table.write, counting.MEMORY = write, 1000
with Silent().bar("", None, "B") as bar:
    counting.tables(TextsCorpus(Path(sys.argv[1]), real_texts()), Store(Path(sys.argv[2])), None, 1, bar)
"""


def test_what_a_killed_count_leaves_is_swept_by_the_next(tmp_path):
    (tmp_path / "corpus").mkdir()
    command = [sys.executable, "-c", KILLED, str(tmp_path / "corpus"), str(tmp_path / "runs")]
    ended = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)}, check=False)
    assert ended.returncode == -signal.SIGKILL
    left = list((tmp_path / "runs").rglob(".*.tmp"))
    assert len(left) == 1 and list(left[0].iterdir())
    alive = left[0].with_name(f".other.{os.getppid()}.tmp")  # of a process that is still there
    alive.mkdir()
    tables_of(TextsCorpus(tmp_path / "corpus", real_texts()), Store(tmp_path / "runs"))
    assert list((tmp_path / "runs").rglob(".*.tmp")) == [alive]


def test_a_corpus_that_grew_counts_what_is_new(tmp_path):
    store, rows = Store(tmp_path / "runs"), real_texts()
    (tmp_path / "x").mkdir()
    (tmp_path / "y").mkdir()
    before = tables_of(TextsCorpus(tmp_path / "x", rows, part=len(rows)), store)
    stamp = before[0].stat().st_mtime_ns
    grown = [*rows, ("a", "b", "en", "new words", "train")]
    after = tables_of(TextsCorpus(tmp_path / "y", grown, part=len(rows)), store)
    assert after[0] == before[0] and after[0].stat().st_mtime_ns == stamp and len(after) == 2


def test_a_damaged_table_is_counted_again(corpus, tmp_path):
    path = tables_of(corpus, Store(tmp_path))[0]
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    assert tables_of(corpus, Store(tmp_path))[0].read_bytes() == whole


def test_temperature_balances_languages(corpus, tmp_path):
    sizes = Counter()
    for stratum in corpus.strata:
        sizes[stratum["language"]] += stratum["bytes"]
    for temperature in (1.0, 3.3, 1e9):
        weight = weigh.weights(corpus, ["language"], temperature)
        own = {language: next(weight[g] for g in weight if g[2] == language) * size for language, size in sizes.items()}
        assert sum(own.values()) == pytest.approx(sum(sizes.values()))
        ratio = own["en"] / own["de"]
        assert ratio == pytest.approx((sizes["en"] / sizes["de"]) ** (1 / temperature), rel=1e-6)
    even = weigh.weigh(tables_of(corpus, Store(tmp_path)), weight, 10**9)
    plain = weigh.weigh(tables_of(corpus, Store(tmp_path)), weigh.weights(corpus, ["language"], 1.0), 10**9)
    hindi = " सभी".encode()
    assert dict(even)[hindi] > dict(plain)[hindi] and dict(even)[b" the"] < dict(plain)[b" the"]


def test_a_sample_takes_all_of_what_is_small(corpus, tmp_path):
    everything = dict(weigh.weigh(tables_of(corpus, Store(tmp_path)), {}, 10**9))
    sampled = dict(weigh.weigh(tables_of(corpus, Store(tmp_path), 20_000), {}, 10**9))
    assert sum(sampled.values()) < sum(everything.values())
    assert sampled[" 人人生而自由".encode()] == everything[" 人人生而自由".encode()]


def plainly(words, names, size, least):
    """Byte-pair encoding as the paper writes it: counts anew at each step."""
    known, tokens = {name: number for number, name in enumerate(names)}, list(names)
    sequences = {tuple(word): count for word, count in words}
    merges = []
    while len(tokens) < size:
        pairs = Counter()
        for sequence, count in sequences.items():
            for pair in itertools.pairwise(sequence):
                pairs[pair] += count
        best = min(pairs, key=lambda pair: (-pairs[pair], pair), default=None)
        if best is None or pairs[best] < least:
            break
        name = tokens[best[0]] + tokens[best[1]]
        made = known.setdefault(name, len(tokens))
        if made == len(tokens):
            tokens.append(name)
        if (best, made) not in merges:
            merges.append((best, made))
        changed = Counter()
        for sequence, count in sequences.items():
            out, at = [], 0
            while at < len(sequence):
                pair = sequence[at : at + 2]
                out.append(made if pair == best else sequence[at])
                at += 2 if pair == best else 1
            changed[tuple(out)] += count
        sequences = dict(changed)
    return merges


def learnt(words, names, size, least):
    symbols = np.array([symbol for word, _ in words for symbol in word], np.int32)
    offsets = np.cumsum([0, *(len(word) for word, _ in words)])
    counts = np.array([count for _, count in words], np.int64)
    return list(learn(symbols, offsets, counts, names, size, least))


SEQUENCES = st.lists(
    st.tuples(st.lists(st.integers(0, 2), min_size=1, max_size=12).map(tuple), st.integers(1, 5)), max_size=12
).map(lambda words: list(dict(words).items()))


@settings(max_examples=300, deadline=None)
@given(words=SEQUENCES, size=st.integers(3, 30), least=st.integers(1, 4))
def test_merges_are_those_of_the_plain_algorithm(words, size, least):
    expected = plainly(words, ["a", "b", "c"], size, least)
    for on in WAYS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SEEDSTOCK_NATIVE", on)
            assert learnt(words, ["a", "b", "c"], size, least) == expected


def test_merges_of_real_words_are_those_of_the_plain_algorithm(way, corpus):
    counts = by_the_library(row["text"] for row in corpus.rows)
    words = [(tuple(word), count) for word, count in sorted(counts.items())]
    names = [chr(0x100 + byte) for byte in range(256)]
    assert learnt(words, names, 500, 2) == plainly(words, names, 500, 2)


def test_both_ways_learn_the_same_from_a_larger_text(data_pack):
    import json

    import zstandard

    if len(WAYS) < 2:
        pytest.skip("the compiled helpers were not built")
    with zstandard.open(data_pack / "text" / "specs.jsonl.zst", "rt", encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in itertools.islice(file, 300)]
    words = [(tuple(word), count) for word, count in sorted(by_the_library(texts).items())]
    names = [chr(0x100 + byte) for byte in range(256)]
    found = []
    for on in WAYS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SEEDSTOCK_NATIVE", on)
            found.append(learnt(words, names, 3000, 2))
    assert found[0] == found[1] and len(found[0]) > 2500
    assert os.environ.get("SEEDSTOCK_NATIVE", "1") == "1"
