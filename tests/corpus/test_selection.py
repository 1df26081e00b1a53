"""Selection: exact amounts, likeness to a target, even clusters, quotas, curricula; each with its record."""

from __future__ import annotations

import gzip
import json
import math
import shutil
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import zstandard
from batches import library
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from seedstock.corpus import Corpus
from seedstock.corpus.build import build, inputs_of
from seedstock.corpus.config import CorpusConfig
from seedstock.corpus.dedup.parts import InMemory
from seedstock.corpus.selection import dsir
from seedstock.corpus.selection.clusters import budgets
from seedstock.corpus.selection.config import Classifier, Clusters, Curriculum, Dsir, Perplexity, Quota
from seedstock.corpus.selection.pool import Pool
from seedstock.corpus.selection.steps import choose
from seedstock.corpus.sources.jsonl import JsonLines
from seedstock.errors import DataError
from seedstock.ledger.ids import sha256
from seedstock.ledger.store import Store
from seedstock.progress import Silent

KEY = b"k" * 32


CODE = "code/thealgorithms.jsonl.zst"


def lines(path, count):
    """The beginnings of the first texts of a file of the data pack."""
    with zstandard.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line)["text"][:3000] for line, _ in zip(file, range(count), strict=False)]


def pool(texts=None, *, sizes=None, key="1", cuts=2, names=None, **columns):
    """A pool of documents in parts, as a corpus would hold them."""
    count = len(texts) if texts is not None else len(sizes)
    texts = texts or [f"text {n}" for n in range(count)]
    digests = [bytes.fromhex(sha256(f"{n} {text}".encode())) for n, text in enumerate(texts)]
    sizes = np.array([len(text.encode()) for text in texts] if sizes is None else sizes, np.int64)
    table = pa.table(
        {
            "text": pa.array(texts, pa.large_string()),
            "text_sha256": pa.array(digests, pa.binary(32)),
            "raw_sha256": pa.array(digests, pa.binary(32)),
            "bytes": np.maximum(sizes, 1),
            **columns,
        }
    )
    step = -(-max(count, 1) // cuts)
    parts = [InMemory(table.slice(at, step)) for at in range(0, count, step)]
    given = {
        name: np.array((names or {}).get(name, ["x"] * count), object) for name in ("source", "domain", "language")
    }
    return Pool(parts, given, sizes, key, None, Silent())


values = st.lists(st.none() | st.floats(-5, 5, width=32), min_size=1, max_size=60)


@given(found=values, share=st.floats(0, 1), data=st.data())
def test_a_share_is_exact_and_holds_the_best(found, share, data):
    documents = pool(sizes=[1] * len(found), **{"q.score": pa.array(found, pa.float32())})
    chosen = choose(Classifier(score="q.score", share=share), documents)
    score = np.array([np.nan if value is None else value for value in found])
    valued = int((~np.isnan(score)).sum())
    assert chosen.kept.sum() == min(round(share * len(found)), valued)
    if chosen.kept.any() and not chosen.kept[~np.isnan(score)].all():
        assert score[chosen.kept].min() >= np.nanmax(score[~chosen.kept])
    keep = data.draw(st.sampled_from(["low", "middle", "high"]))
    middle = choose(Perplexity(score="q.score", keep=keep, share=share), documents)
    assert middle.kept.sum() == round(share * valued)
    below, above = (
        sum(reason.startswith(f"q.score {word}") for reason in middle.reason[~middle.kept])
        for word in ("lower", "higher")
    )
    assert {"low": below == 0, "high": above == 0, "middle": 0 <= above - below <= 1}[keep]
    assert all(reason for reason in middle.reason[~middle.kept])


@given(
    sizes=st.lists(st.integers(0, 50), min_size=1, max_size=80), budget=st.integers(0, 900), more=st.integers(0, 300)
)
def test_quotas_are_never_exceeded_and_grow_without_losing_anything(sizes, budget, more):
    named = {"source": ["ab"[n % 2] for n in range(len(sizes))]}
    documents = pool(sizes=sizes, names=named)
    small, large = (choose(Quota(bytes={"a": size}), documents) for size in (budget, budget + more))
    source, sizes = np.array(named["source"]), np.array(sizes)
    assert small.kept[source == "b"].all()
    inside = sizes[(source == "a") & small.kept].sum()
    assert inside <= budget
    left = sizes[(source == "a") & ~small.kept]
    assert not len(left) or inside + left.max() > budget
    assert (large.kept | ~small.kept).all()
    counted = choose(Quota(documents=7), documents)
    for name in "ab":
        assert counted.kept[source == name].sum() == min(7, (source == name).sum())


def test_names_of_a_quota_share_their_budget_and_unknown_ones_say_so():
    names = {"source": ["a", "a", "b", "b"] * 25, "language": ["de", "en", "de", "fr"] * 25}
    documents = pool(sizes=[10] * 100, names=names)
    chosen = choose(Quota(by=("source", "language"), bytes={"*/de": 100, "*": 50}), documents)
    kept = Counter(zip(np.array(names["source"])[chosen.kept], np.array(names["language"])[chosen.kept], strict=True))
    assert kept["a", "de"] + kept["b", "de"] == 10 and kept["a", "en"] == kept["b", "fr"] == 5
    with pytest.raises(DataError, match="no group of source") as error:
        choose(Quota(bytes={"bb": 1}), documents)
    assert "'b'" in error.value.fix


@given(
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=30),
    total=st.integers(0, 900),
    power=st.sampled_from([0.0, 0.5]),
)
def test_budgets_of_clusters_sum_up_and_are_level(sizes, total, power):
    sizes = np.array(sizes)
    found = budgets(sizes, total, power)
    assert found.sum() == min(total, sizes.sum()) and (found <= sizes).all() and (found >= 0).all()
    short = found < sizes  # a cluster that keeps something back got its whole share
    if power == 0 and short.any():
        assert found[~short].max(initial=0) <= found[short].min() + 1 and np.ptp(found[short]) <= 1


@given(sizes=st.lists(st.integers(1, 400), min_size=1, max_size=80), bands=st.integers(2, 6))
def test_bands_are_ordered_and_of_about_equal_bytes(sizes, bands):
    documents = pool(sizes=sizes)
    found = choose(Curriculum(score="bytes", bands=bands), documents)
    order = np.argsort(found.rank)
    assert sorted(found.rank) == list(range(len(sizes)))
    assert (np.diff(np.array(sizes)[order]) >= 0).all() and (np.diff(found.band[order]) >= 0).all()
    for band in range(bands):
        inside = sum(size for size, own in zip(sizes, found.band, strict=True) if own == band)
        assert abs(inside - sum(sizes) / bands) <= max(sizes)


@settings(max_examples=30)
@given(st.lists(st.text("ab c.\nß", max_size=20), min_size=1, max_size=8), st.integers(1, 3))
def test_features_are_those_of_a_plain_reference(texts, words):
    row, _ = dsir.features(pa.array(texts, pa.large_string()), words, 1 << 20)
    _, alone = zip(*(dsir.features(pa.array([text], pa.large_string()), words, 1 << 20) for text in texts), strict=True)
    together = dsir.features(pa.array(texts, pa.large_string()), words, 1 << 20)[1]
    for at, text in enumerate(texts):
        tokens = "".join(f" {c} " if c == "." else c for c in text).replace(" .  . ", " .. ")
        tokens = tokens.split() if ".." not in text else None
        if tokens is not None:
            assert (row == at).sum() == sum(max(0, len(tokens) - size + 1) for size in range(1, words + 1))
        assert sorted(together[row == at]) == sorted(alone[at])


def test_documents_are_drawn_by_their_weights():
    """The Gumbel top-k trick with k = 1 draws each document with a probability proportional to its weight."""
    texts = ["sun", "sun moon", "moon", "rain rain", "tree"]

    weights = np.array([1, 2, 4, 1, 8.0])
    counts = np.zeros(5)
    for seed in range(4000):
        documents = pool(texts, key=str(seed), cuts=1)
        noise = -np.log(-np.log(documents.uniform))
        counts[np.argmax(np.log(weights) + noise)] += 1
    expected = 4000 * weights / weights.sum()
    assert ((counts - expected) ** 2 / expected).sum() < 18.5  # chi-square of 4 degrees, 0.1 %


def test_importance_is_the_ratio_of_the_bags(tmp_path):
    """Weights of log_weights are those of the formula, counted by hand."""
    (tmp_path / "target.jsonl").write_text(json.dumps({"text": "sun sun moon"}) + "\n")
    texts = ["sun", "moon rain", "rain rain rain"]
    step = Dsir(target=(str(tmp_path / "target.jsonl"),), share=0.5, words=1, buckets=1 << 16)
    found = dsir.log_weights(step, pool(texts), tmp_path) / dsir.UNIT
    raw, target = Counter(" ".join(texts).split()), Counter(["sun", "sun", "moon"])
    for text, value in zip(texts, found, strict=True):
        ratio = [(target[w] + 1) / (3 + 65536) / ((raw[w] + 1) / (6 + 65536)) for w in text.split()]
        assert value == pytest.approx(sum(map(math.log, ratio)), abs=1e-5)


def test_likeness_finds_prose_among_code(data_pack, tmp_path):
    """A mixture of books and code; the target is other books: most of what is drawn is prose."""
    books, code = lines(data_pack / "text/books.jsonl.zst", 400), lines(data_pack / CODE, 400)
    target = tmp_path / "target.jsonl"
    target.write_text("".join(json.dumps({"text": text}) + "\n" for text in books[300:]))
    documents = pool([*books[:100], *code])
    chosen = choose(Dsir(target=(str(target),), documents=100), documents)
    assert chosen.kept.sum() == 100 and chosen.kept[:100].sum() >= 95


def test_clusters_level_what_is_frequent(data_pack):
    """Among many proposals and few programs, an even choice takes a larger share of the programs."""
    proposals, programs = lines(data_pack / "text/specs.jsonl.zst", 800), lines(data_pack / CODE, 40)
    documents = pool([*proposals, *programs])
    chosen = choose(Clusters(documents=120), documents)
    assert chosen.kept.sum() == 120
    assert chosen.kept[800:].mean() > 1.3 * chosen.kept[:800].mean()
    again = choose(Clusters(documents=120), pool([*proposals, *programs], cuts=7))
    assert np.array_equal(chosen.kept, again.kept)


STEPS = [
    {"kind": "perplexity", "score": "gopher.mean_word_length", "keep": "middle", "share": "90 %", "by": ["domain"]},
    {"kind": "classifier", "score": "gopher.words", "share": "80 %"},
    {"kind": "quota", "by": ["domain"], "documents": {"late": 6}},
    {"kind": "curriculum", "score": "bytes", "bands": 3},
]


def make(runs: Path, sources, workers=0, **config) -> Path:
    config = {"policy": {"signals": ["gopher"]}, "dedup": None, "held_out": "10 %", **config}
    return build(
        sources, CorpusConfig(**config), seed=1, key=KEY, store=Store(runs), reporter=Silent(), workers=workers
    )


def sources(folder: Path) -> list[JsonLines]:
    texts = [
        text[at : at + size]
        for text, size in zip(library(600_000), range(2000, 9000), strict=False)
        for at in range(0, len(text), size)
    ]
    found = []
    for name in ("early", "late"):
        own = [text for at, text in enumerate(texts) if (at % 3 == 0) == (name == "late")]
        with gzip.open(folder / f"{name}.jsonl.gz", "wt", encoding="utf-8") as file:
            for at, text in enumerate(own):
                file.write(json.dumps({"id": str(at), "text": text, "license": "PSF-2.0"}) + "\n")
        found.append(JsonLines(name=name, path=str(folder / f"{name}.jsonl.gz"), domain=name, language="en"))
    return found


@pytest.fixture(scope="module")
def selected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("selection")
    found = sources(folder)
    return found, make(folder / "runs", found, select=STEPS), make(folder / "runs", found)


def test_every_choice_is_on_record(selected):
    _, folder, _ = selected
    corpus = Corpus(folder)
    decided = corpus.decisions().to_pylist()
    gone = [row for row in decided if row["phase"] == "select"]
    assert {row["step"] for row in gone} == {"perplexity", "classifier", "quota"}
    assert all(row["reason"] and row["split"] == "" and row["stratum"] == -1 for row in gone)
    steps = {row["step"]: row for row in corpus.summary["select"]}
    assert list(steps) == ["perplexity", "classifier", "quota"]
    for step in steps.values():
        lost = [row for row in gone if row["step"] == step["step"]]
        assert step["documents"] - step["kept_documents"] == len(lost)
        for part in ("source", "domain", "language"):
            for about in ("documents", "bytes", "kept_documents", "kept_bytes"):
                assert sum(group[about] for group in step[f"by_{part}"].values()) == step[about]
    trained = [row for row in decided if row["split"] == "train"]
    assert steps["quota"]["kept_documents"] == len(trained)
    assert steps["quota"]["by_domain"]["late"]["kept_documents"] == 6
    assert steps["classifier"]["kept_documents"] == round(0.8 * steps["classifier"]["documents"])


def test_held_out_documents_stay_whatever_is_selected(selected):
    """Scores of two selections can be compared."""
    _, folder, plain = selected
    held = [
        {row["id"] for row in Corpus(one).decisions().to_pylist() if row["split"] == "held_out"}
        for one in (folder, plain)
    ]
    assert held[0] == held[1] and held[0]


def test_a_curriculum_divides_the_strata_by_band(selected):
    _, folder, plain = selected
    corpus = Corpus(folder)
    assert {one["band"] for one in corpus.strata} == {0, 1, 2}
    assert not any("band" in one for one in Corpus(plain).strata)
    longest = []
    for band in range(3):
        sizes = [
            len(row["text"].encode())
            for one in corpus.strata
            if one["band"] == band
            for batch in corpus.texts("train", one["stratum"])
            for row in batch.to_pylist()
        ]
        longest.append((min(sizes), max(sizes)))
    assert all(low[1] <= high[0] for low, high in pairwise(longest))
    ranks = [row for row in corpus.decisions().to_pylist() if row["stratum"] >= 0]
    assert sorted(row["rank"] for row in ranks) == list(range(len(ranks)))


def test_the_selection_is_the_same_for_any_number_of_workers(selected, tmp_path):
    found, folder, _ = selected
    again = make(tmp_path / "runs", found, select=STEPS, workers=2)
    assert (again / "manifest.json").read_bytes() == (folder / "manifest.json").read_bytes()
    shutil.rmtree(again)


def test_a_changed_target_is_another_corpus(tmp_path):
    listed = sources(tmp_path)
    target = tmp_path / "target.txt"
    found = []
    for text in ("one text", "another text"):
        target.write_text(text)
        config = CorpusConfig(select=[{"kind": "dsir", "target": [str(target)], "share": 0.5}])
        found.append(inputs_of(listed, config, 1, KEY, tmp_path))
    assert found[0] != found[1]
    target.unlink()
    with pytest.raises(DataError):
        inputs_of(listed, config, 1, KEY, tmp_path)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([{"kind": "classifier", "score": "gopher.word", "share": 0.5}], "did you mean 'gopher.words'"),
        ([{"kind": "classifier", "score": "c4.lines", "share": 0.5}], "add 'c4' to signals"),
        ([{"kind": "classifier", "score": "gopher.words"}], "exactly one of"),
        ([{"kind": "clusters"}], "exactly one of"),
        ([{"kind": "quota"}], "bytes or in documents"),
        ([{"kind": "curriculum", "score": "bytes"}, {"kind": "quota", "bytes": 1}], "comes last"),
        ([{"kind": "dsr", "target": ["x"]}], "dsir"),
    ],
)
def test_mistakes_say_what_to_do(steps, message):
    with pytest.raises(ValidationError, match=message):
        CorpusConfig(policy={"signals": ["gopher"]}, select=steps)
