"""Media lie row by row beside the documents that describe them, and go where these go."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from poisons import Pictures

from seedstock.corpus import Corpus
from seedstock.corpus.build import build
from seedstock.corpus.config import CorpusConfig
from seedstock.ledger.store import Store
from seedstock.progress import Silent
from seedstock.provenance.erase import tables as erase

PLAIN = {"policy": "none", "dedup": {"kind": "exact"}, "held_out": "10 %"}


def make(runs: Path, workers: int = 0, key: bytes = b"k" * 32, **given) -> Corpus:
    source = Pictures(name="p", **given)
    config = CorpusConfig(**PLAIN)
    return Corpus(build([source], config, seed=1, key=key, store=Store(runs), reporter=Silent(), workers=workers))


def test_media_lie_beside_their_documents_and_survive_equal_captions(tmp_path):
    corpus = make(tmp_path, count=40)
    rows = corpus.decisions().to_pylist()
    assert len(rows) == 40 and all(row["decision"] == "kept" for row in rows)
    found = {}
    for part in corpus.parts:
        documents = pq.read_table(corpus.folder / "documents" / part).to_pylist()
        path = corpus.folder / "media" / part
        assert path.exists() == any("picture" in row["locator"] for row in documents)
        media = pq.read_table(path)["id"].to_pylist() if path.exists() else [row["id"] for row in documents]
        assert media == [row["id"] for row in documents]
        found |= {row["locator"]: corpus.media(row["id"]) for row in documents}
    for number in range(40):
        expected = ("image/png", b"\x89PNG%d" % number) if number % 2 else None
        assert found[f"{'picture' if number % 2 else 'poem'}/{number}"] == expected


def test_a_corpus_without_media_has_no_folder_for_them(tmp_path):
    assert not (make(tmp_path, count=40, pictures=False).folder / "media").exists()


def test_media_are_the_same_for_any_number_of_workers_and_are_taken_over(tmp_path):
    one, two = (make(tmp_path / str(n), workers=n, count=40) for n in (0, 2))
    media = [{path.name: path.read_bytes() for path in (c.folder / "media").iterdir()} for c in (one, two)]
    assert media[0] == media[1]
    config = CorpusConfig(**{**PLAIN, "held_out": "20 %"})
    source = Pictures(name="p", count=40)
    again = Corpus(
        build([source], config, seed=1, key=b"k" * 32, store=Store(tmp_path / "0"), reporter=Silent(), workers=0)
    )
    for path in (one.folder / "media").iterdir():
        assert path.samefile(again.folder / "media" / path.name)


def test_forgetting_takes_the_media_with_the_document(tmp_path):
    corpus = make(tmp_path, count=40)
    (wanted,) = corpus.find(locator="picture/3")
    assert f"media/{corpus.parts[0]}" in erase.concerned(corpus.folder, frozenset([wanted]))
    erase.erase(corpus.folder, frozenset([wanted]), "asked for")
    assert corpus.media(wanted) is None
    assert corpus.media(corpus.find(locator="picture/5")[0]) == ("image/png", b"\x89PNG5")
    left = pq.read_table(corpus.folder / "media" / corpus.parts[0])["bytes"].to_pylist()
    assert b"\x89PNG5" in left and b"\x89PNG3" not in left


@pytest.mark.parametrize("held_out", ["10 %", {"tail": "10 %"}])
def test_a_cut_leaves_the_media_with_the_first_part(tmp_path, held_out):
    config = CorpusConfig(**{**PLAIN, "held_out": held_out})
    source = Pictures(name="p", count=10)
    corpus = Corpus(build([source], config, seed=1, key=b"k", store=Store(tmp_path), reporter=Silent(), workers=0))
    assert corpus.media(corpus.find(locator="picture/3")[0]) == ("image/png", b"\x89PNG3")
    tables = [pq.read_table(corpus.folder / "media" / part) for part in corpus.parts]
    assert sum(kind is not None for table in tables for kind in table["media_type"].to_pylist()) == 5
