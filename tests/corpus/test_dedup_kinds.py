"""Every kind of deduplication of documents, what stays, and what earlier corpora have to do with it."""

from __future__ import annotations

import io
import json
import random
import tarfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from batches import library
from dedup_parts import parts
from hypothesis import given
from hypothesis import strategies as st

from seedstock.corpus import Corpus
from seedstock.corpus.build import build
from seedstock.corpus.config import CorpusConfig
from seedstock.corpus.dedup import DedupConfig, exact, find_clusters, perceptual
from seedstock.corpus.duplicates import repeats
from seedstock.corpus.sources.jsonl import JsonLines
from seedstock.errors import DataError, RecipeError
from seedstock.inputs.config import MixtureConfig
from seedstock.inputs.mixture import weights
from seedstock.inputs.shards import Shards
from seedstock.inputs.tokenizers import Tokenizer
from seedstock.inputs.tokenizers.config import BytesConfig
from seedstock.inputs.tokenizers.train import train
from seedstock.inputs.write import write
from seedstock.ledger.store import Store
from seedstock.progress import Silent
from seedstock.provenance.erase.tables import twins

KEY = b"k" * 32


def passages(count, size=900):
    """Pieces of real modules that differ from each other."""
    found = [text[at : at + size] for text in library(900_000) for at in range(0, len(text) - size, size)]
    assert len(found) >= count
    return found[:count]


def clusters(texts, steps, cuts=(), media=None, workers=1, **columns):
    if media is not None:
        columns["media"] = pa.array(media, pa.large_binary())
    return find_clusters(
        DedupConfig.model_validate(steps),
        parts(texts, cuts, **columns),
        Silent(),
        media=None if media is None else np.array([one is not None for one in media]),
        workers=workers,
    )


# What counts as the same


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("http://www.Example.org/a/", "https://example.org/a#part"),
        ("https://example.org:443/a?b=1&a=2", "https://example.org/a?a=2&b=1"),
        ("https://example.org/a?utm_source=x&fbclid=1", "https://example.org/a"),
        ("https://example.org", "https://example.org./"),
    ],
)
def test_urls_that_name_one_page_are_equal(left, right):
    assert exact.normal(left) == exact.normal(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("https://example.org/a", "https://example.org/A"),
        ("https://example.org/a?b=1", "https://example.org/a?b=2"),
        ("https://example.org:8080/", "https://example.org/"),
        ("https://a.example.org/", "https://example.org/"),
    ],
)
def test_urls_that_name_other_pages_are_not(left, right):
    assert exact.normal(left) != exact.normal(right)


@given(st.text(max_size=60))
def test_any_text_in_the_place_of_a_url_is_no_trouble(text):
    once = exact.normal(text)
    assert once is None or isinstance(once, str)


def test_documents_of_one_url_are_one_and_the_newest_stays():
    urls = ["http://a.org/x", "https://www.a.org/x/", None, None, "https://b.org/"]
    meta = [json.dumps({"date": date} if date else {}) for date in ("2020-01-02", "2024-05-06", "", "", "")]
    found = clusters(["old text", "new text", "a", "b", "c"], {"kind": "url"}, url=urls, meta=meta)
    assert found.cluster_of.tolist() == [0, 0, -1, -1, -1]
    assert found.representative.tolist() == [False, True, True, True, True]
    assert found.kind.tolist()[:2] == ["url", "url"] and found.why[1] == "url: the newest"


def test_equal_but_for_case_and_white_space():
    texts = ["Straße  und\nWeg", "strasse UND weg ", "strasse und wege"]
    assert clusters(texts, {"kind": "exact"}).cluster_of.tolist() == [-1, -1, -1]
    assert clusters(texts, {"kind": "exact", "normalise": True}).cluster_of.tolist() == [0, 0, -1]


# What stays


def test_what_stays_is_what_was_asked_for():
    texts = ["a b c d e f", "a b c d e f", "a b c d e f"]
    given_ = {"source": ["x", "z", "y"], "meta": ['{"date": "2023"}', "{}", '{"date": "2021"}']}
    given_["quality.score"] = [0.1, None, 0.7]
    for keep, stays in (
        ("first", 0),
        ("newest", 0),
        ("longest", 0),
        ({"sources": ["y", "z"]}, 2),
        ({"sources": ["z"]}, 1),
        ({"score": "quality.score"}, 2),
    ):
        found = clusters(texts, {"kind": "exact", "keep": keep}, **given_)
        assert np.flatnonzero(found.representative).tolist() == [stays], keep
        assert found.why[stays].startswith("exact: ") and (found.why != "").sum() == 1


def test_a_score_that_nobody_measures_is_named():
    with pytest.raises(RecipeError, match=r"quality\.score"):
        clusters(["a", "a"], {"kind": "exact", "keep": {"score": "quality.score"}})


def test_steps_follow_each_other_and_one_of_a_cluster_stays():
    """A document dropped by one step may stand for others in an earlier one: all are one cluster."""
    base = " ".join(f"w{n}" for n in range(80))
    texts = [base, f"{base} end", f"start {base} end", "another page", "unlike"]
    urls = ["u://a/1", "u://a/2", "u://a/3", "u://a/3", "u://a/4"]
    found = clusters(texts, [{"kind": "url", "keep": "longest"}, {"kind": "minhash"}], url=urls)
    assert found.cluster_of.tolist() == [0, 0, 0, 0, -1]
    assert found.representative.tolist() == [False, False, True, False, True]
    assert found.kind.tolist() == ["minhash", "minhash", "url", "url", ""]
    assert found.why[2] == "url: the longest; minhash: the longest"
    assert found.sizes.tolist() == [4] and found.size_of.tolist() == [4, 4, 4, 4, 1]


def test_workers_and_parts_change_nothing():
    draw = random.Random(2)
    base = passages(40)
    texts = [text.replace("e", "3", draw.randrange(4)) for text in base for _ in range(3)]
    steps = [{"kind": "exact"}, {"kind": "minhash"}, {"kind": "semantic", "threshold": 0.9}]
    one, other = clusters(texts, steps), clusters(texts, steps, cuts=(5, 40, 41), workers=3)
    for name in ("cluster_of", "representative", "kind", "why", "sizes"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


# Bad input


@pytest.mark.parametrize("kind", ["exact", "url", "minhash", "semantic"])
def test_nothing_one_thing_and_empty_things(kind):
    for texts in ([], [""], ["", "", " "], ["word"], ["one", "two", "\n\n"], ["\x00", "\u200b" * 50]):
        found = clusters(texts, {"kind": kind})
        assert len(found.cluster_of) == len(texts)
        assert found.representative.sum() == len(set(texts)) if kind != "url" else found.representative.all()


@pytest.mark.parametrize("kind", ["minhash", "semantic"])
def test_a_hundred_thousand_equal_documents_cost_no_square(kind):
    text = " ".join(f"word{n}" for n in range(60))
    start = time.monotonic()
    found = clusters([text] * 100_000, {"kind": kind})
    assert found.sizes.tolist() == [100_000] and found.representative.sum() == 1
    assert time.monotonic() - start < 20


def test_twenty_thousand_nearly_equal_documents_cost_no_square():
    """One bucket in nearly every band; each differs from the others in one word."""
    words = [f"word{n}" for n in range(200)]
    texts = [" ".join([*words[:50], f"x{n}", *words[51:]]) for n in range(20_000)]
    start = time.monotonic()
    found = clusters(texts, {"kind": "minhash"})
    assert found.sizes.tolist() == [20_000]
    assert time.monotonic() - start < 30


# Meaning


def test_the_same_words_in_another_order_have_the_same_meaning():
    draw = random.Random(4)
    base = passages(80)
    shuffled = []
    for text in base[:20]:
        words = text.split()
        draw.shuffle(words)
        shuffled.append(" ".join(words))
    found = clusters([*base, *shuffled], {"kind": "semantic", "threshold": 0.95, "clusters": 4})
    assert all(found.cluster_of[at] == found.cluster_of[80 + at] >= 0 for at in range(20))
    assert len(found.sizes) == 20 and (found.kind[80:] != "").all()
    assert (clusters([*base, *shuffled], {"kind": "minhash"}).cluster_of == -1).all()


def lengths(texts):
    """A model for the test: texts of one length mean the same."""
    return np.array([[np.cos(len(text)), np.sin(len(text))] for text in texts])


def test_a_model_of_ones_own_is_asked():
    name = f"{__name__}:lengths"
    found = clusters(["abc", "xyz", "longer", "ab"], {"kind": "semantic", "model": name, "threshold": 0.999})
    assert found.cluster_of.tolist() == [0, 0, -1, -1]
    for wrong, error in (
        (f"{__name__}:nothing", RecipeError),
        ("no.such:thing", RecipeError),
        ("unknown", RecipeError),
    ):
        with pytest.raises(error):
            clusters(["a", "b"], {"kind": "semantic", "model": wrong})
    with pytest.raises(DataError, match="shape"):
        clusters(["a", "b"], {"kind": "semantic", "model": f"{__name__}:wrong_shape"})


def wrong_shape(texts):
    return np.zeros((1, 1, 1))


# Pictures


def encoded(pixels, kind="PNG", **options):
    image = pytest.importorskip("PIL.Image")
    out = io.BytesIO()
    image.fromarray(pixels).save(out, kind, **options)
    return out.getvalue()


def photographs(data_pack, count):
    image = pytest.importorskip("PIL.Image")
    with tarfile.open(data_pack / "images" / "cifar10-test.tar") as archive:
        files = [member for member in archive if member.isfile()][::7][:count]
        return [np.asarray(image.open(archive.extractfile(member)).convert("RGB")) for member in files]


@pytest.mark.parametrize(("hash_", "distance"), [("phash", 4), ("dhash", 7)])
def test_pictures_that_were_scaled_or_compressed_are_found(data_pack, hash_, distance):
    image = pytest.importorskip("PIL.Image")
    media = []
    for pixels in photographs(data_pack, 60):
        large = np.asarray(image.fromarray(pixels).resize((48, 48), image.Resampling.BICUBIC))
        media += [encoded(pixels), encoded(pixels, "JPEG", quality=75), encoded(large)]
    step = {"kind": "pictures", "hash": hash_, "distance": distance}
    found = clusters([""] * 180, step, media=media, cuts=(7,))
    families = found.cluster_of.reshape(60, 3)
    whole = (families == families[:, :1]).all(axis=1) & (families[:, 0] >= 0)
    assert whole.mean() >= 0.95
    assert all(
        len(np.unique(np.flatnonzero(found.cluster_of == number) // 3)) == 1 for number in range(len(found.sizes))
    )
    # The one with the most pixels stays.
    assert found.representative.reshape(60, 3)[whole].tolist() == [[False, False, True]] * int(whole.sum())


def test_pictures_that_show_nothing_or_are_none_are_compared_by_their_bytes():
    pytest.importorskip("PIL.Image")
    white, grey = (encoded(np.full((20, 20, 3), level, np.uint8)) for level in (255, 128))
    media = [white, grey, white, b"RIFF not a picture", b"\x89PNG\r\n\x1a\n cut off", b"RIFF not a picture", None]
    found = clusters(["x"] * 7, [{"kind": "exact"}, {"kind": "pictures"}], media=media)
    assert found.cluster_of.tolist() == [0, -1, 0, 1, -1, 1, -1]
    # That their captions are equal is not what they were dropped for.
    assert found.kind.tolist() == ["pictures", "", "pictures", "pictures", "", "pictures", ""]


def test_captions_of_one_picture_in_several_languages_all_stay():
    pytest.importorskip("PIL.Image")
    draw = np.random.default_rng(1)
    one, other = (encoded(draw.integers(0, 256, (20, 20, 3)).astype(np.uint8)) for _ in range(2))
    meta = [f'{{"language": "{name}"}}' for name in ("en", "de", "en", "de")]
    found = clusters(["seed", "Saat", "grain", "Korn"], {"kind": "pictures"}, media=[one] * 4, meta=meta)
    assert found.cluster_of.tolist() == [0, 1, 0, 1]
    apart = clusters(["seed", "Saat", "sun", "Sonne"], {"kind": "pictures"}, media=[one, one, other, other], meta=meta)
    assert apart.cluster_of.tolist() == [-1, -1, -1, -1]


@given(st.lists(st.integers(0, 2**64 - 1), max_size=60, unique=True), st.integers(0, 7), st.randoms())
def test_neighbours_are_those_of_brute_force(numbers, distance, draw):
    flipped = [number ^ sum({1 << draw.randrange(64) for _ in range(draw.randrange(9))}) for number in numbers]
    hashes = np.unique(np.array([*numbers, *flipped], np.uint64))
    expected = {
        (a, b)
        for a in range(len(hashes))
        for b in range(a + 1, len(hashes))
        if int(hashes[a] ^ hashes[b]).bit_count() <= distance
    }
    assert {tuple(pair) for pair in perceptual.neighbours(hashes, distance).tolist()} == expected


def test_scaling_is_the_mean_of_each_cell():
    draw = np.random.default_rng(3)
    picture = draw.integers(0, 256, (64, 96)).astype(np.uint8)
    plain = picture.reshape(8, 8, 8, 12).mean(axis=(1, 3))
    assert np.abs(perceptual.scaled(picture, 8, 8) / 16 - plain).max() <= 1 / 16
    odd = draw.integers(0, 256, (50, 33)).astype(np.uint8)
    fine = np.kron(odd, np.ones((8, 9)))
    plain = fine.reshape(8, 50, 9, 33).mean(axis=(1, 3))
    assert np.abs(perceptual.scaled(odd, 8, 9) / 16 - plain).max() <= 1 / 16


# In a corpus


def records(path: Path, rows: list[dict]) -> JsonLines:
    path.write_text("".join(json.dumps({"license": "MIT", **row}) + "\n" for row in rows))
    return JsonLines(name="web", path=str(path), domain="docs", language="en")


def make(runs: Path, source: JsonLines, workers: int = 0, **config) -> Corpus:
    given_ = CorpusConfig(**{"policy": "none", "held_out": 0, **config})
    folder = build([source], given_, seed=1, key=KEY, store=Store(runs), reporter=Silent(), workers=workers)
    return Corpus(folder)


def pages(count: int, first: int = 0) -> list[dict]:
    return [{"id": f"p{n}", "text": text} for n, text in enumerate(passages(first + count)[first:], first)]


def test_what_an_earlier_corpus_kept_is_not_taken_again(tmp_path):
    old = pages(30)
    first = make(tmp_path, records(tmp_path / "a.jsonl", old), dedup={"kind": "minhash"})
    near = [{"id": f"n{n}", "text": row["text"] + " and more"} for n, row in enumerate(old[:10])]
    new = pages(5, 35)
    rows = [*near, *old[10:15], *new, new[0] | {"id": "again"}]
    config = {"kind": "minhash", "against": [str(first.folder)]}
    second = make(tmp_path, records(tmp_path / "b.jsonl", rows), dedup=config)
    table = pq.read_table(second.folder / "clusters.parquet").to_pylist()
    decisions = second.decisions().to_pylist()
    assert [row["decision"] for row in decisions[:15]] == ["dropped"] * 15
    assert sum(row["decision"] == "kept" for row in decisions[15:]) == 5
    assert decisions[0]["reason"].endswith("of an earlier corpus") and decisions[0]["step"] == "minhash"
    assert decisions[12]["step"] == "exact"
    matched = {row["id"]: row["matched"] for row in table if row["matched"]}
    assert len(matched) == 15 and len({row["matched_in"] for row in table if row["matched"]}) == 1
    for at in range(15):
        known = first.document(matched[decisions[at]["id"]])
        own = second.document(decisions[at]["id"])
        assert own["text"].startswith(known["text"]) and known["decision"]["decision"] != "dropped"
    known, own = matched[decisions[0]["id"]], decisions[0]["id"]
    assert twins(second.folder, frozenset([known])) == twins(second.folder, frozenset([own])) == {known, own}
    # Without its stored signatures the answer is the same: they are computed from its texts.
    stored = list((first.folder / "signals" / "minhash-5-112@1").iterdir())
    assert len(stored) == len(first.parts)
    for path in stored:
        path.unlink()
    again = make(tmp_path / "other", records(tmp_path / "b.jsonl", rows), dedup=config)
    assert pq.read_table(again.folder / "clusters.parquet") == pq.read_table(second.folder / "clusters.parquet")


def test_an_earlier_corpus_that_is_not_there_is_named(tmp_path):
    for against in ("no/such/folder", "run:nobody"):
        with pytest.raises(DataError, match="corpus"):
            make(tmp_path, records(tmp_path / "a.jsonl", pages(3)), dedup={"against": [against]})


def test_repeats_are_those_of_fineweb2():
    sizes = np.array([1, 2, 3, 4, 5, 99, 100, 999, 1000, 5000])
    asked = DedupConfig.model_validate({"rehydrate": "fineweb2"})
    assert repeats(asked, sizes).tolist() == [1, 2, 3, 3, 5, 5, 8, 8, 1, 1]
    assert (repeats(DedupConfig(), sizes) == 1).all()


def shards_of(corpus: Corpus, runs: Path) -> Shards:
    store = Store(runs)
    tokenizer = Tokenizer(train(BytesConfig(), corpus, seed=1, store=store, reporter=Silent()))
    return Shards(write(corpus, tokenizer, store=store, reporter=Silent()))


def test_rehydration_makes_strata_of_their_own(tmp_path):
    rows = pages(6)
    copies = [{"id": f"c{n}-{m}", "text": rows[n]["text"]} for n, count in ((0, 1), (1, 5)) for m in range(count)]
    source = records(tmp_path / "a.jsonl", [*rows, *copies])
    corpus = make(tmp_path, source, dedup={"kind": "exact", "rehydrate": "fineweb2"})
    assert [(one["repeats"], one["documents"]) for one in corpus.strata] == [(1, 4), (2, 1), (5, 1)]
    kept = [row for row in corpus.decisions().to_pylist() if row["decision"] == "kept"]
    assert sorted((row["cluster_size"], row["repeats"]) for row in kept) == [*[(1, 1)] * 4, (2, 2), (6, 5)]
    shards = shards_of(corpus, tmp_path)
    assert [stratum.repeats for stratum in shards.strata("train")] == [1, 2, 5]
    shares = weights(shards.strata("train"), MixtureConfig())
    tokens = [stratum.tokens for stratum in shards.strata("train")]
    assert shares[2] / shares[1] == pytest.approx(5 * tokens[2] / (2 * tokens[1]))
    assert sum(shares.values()) == pytest.approx(1)
    plain = make(tmp_path, source, dedup={"kind": "exact"})
    assert len(plain.strata) == 1 and "repeats" not in plain.strata[0]


def test_repeated_lines_are_edits_with_their_kind(tmp_path):
    shared = "This line stands at the end of every page of this site, whatever it says.\n"
    rows = [{"id": f"p{n}", "text": f"{row['text']}\n{shared}"} for n, row in enumerate(pages(6))]
    rows.append({"id": "only", "text": shared})
    dedup = [{"kind": "exact"}, {"kind": "lines"}]
    corpora = [
        make(tmp_path / str(workers), records(tmp_path / "a.jsonl", rows), workers=workers, dedup=dedup)
        for workers in (0, 2)
    ]
    corpus = corpora[0]
    kept = [row["text"] for batch in corpus.texts() for row in batch.to_pylist()]
    assert sum(text.count(shared) for text in kept) == 1 and kept[0].endswith(shared)
    assert corpus.summary["edits"] == {"lines": {"edits": 5, "documents": 5}}
    (only,) = (row for row in corpus.decisions().to_pylist() if row["decision"] == "dropped")
    assert (only["phase"], only["step"]) == ("edit", "empty")
    for path in sorted((corpus.folder / "edits").iterdir()):
        assert path.read_bytes() == (corpora[1].folder / "edits" / path.name).read_bytes()
