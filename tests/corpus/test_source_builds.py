"""Sources in whole builds: cut files give the corpus of whole ones, and what cannot be read is in quarantine."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from warcs import record

from seedstock.corpus import Corpus
from seedstock.corpus.build import build
from seedstock.corpus.config import CorpusConfig
from seedstock.corpus.sources import ranges
from seedstock.corpus.sources.base import Source
from seedstock.corpus.sources.jsonl import JsonLines
from seedstock.corpus.sources.text import Text
from seedstock.corpus.sources.warc import Warc
from seedstock.ledger.store import Store
from seedstock.progress import Silent

PLAIN = {"policy": "none", "dedup": None, "held_out": "10 %"}


def make(runs: Path, source: Source, workers: int = 0) -> Corpus:
    folder = build(
        [source], CorpusConfig(**PLAIN), seed=1, key=b"k", store=Store(runs), reporter=Silent(), workers=workers
    )
    return Corpus(folder)


def documents(corpus: Corpus) -> pa.Table:
    return pa.concat_tables(pq.read_table(corpus.folder / "documents" / part) for part in corpus.parts)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_cut_file_gives_the_documents_of_a_whole_one(tmp_path, monkeypatch, workers):
    rows = [{"text": f"text {n} " * 40, **({"id": n} if n % 3 else {})} for n in range(600)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "a.jsonl").write_text(lines + "no json\n" + lines[:1000])
    source = JsonLines(name="j", path=str(tmp_path / "a.jsonl"))
    whole = make(tmp_path / "one", source)
    monkeypatch.setattr(ranges, "SIZE", 40_000)
    cut = make(tmp_path / "two", source, workers)
    assert len(source.partitions()) > 4
    assert documents(cut).equals(documents(whole)) and len(documents(cut)) == 600 + 3
    assert [(corpus.folder / "quarantine.jsonl").read_text().count("\n") for corpus in (cut, whole)] == [2, 2]


def test_a_build_of_plain_text_from_warc_names_what_is_broken(tmp_path):
    members = [record(b"good text %d" % n, content_type=b"text/plain") for n in range(20)]
    members[5] = record(b"\xff\xfe wrong", content_type=b"text/plain; charset=utf-8")
    packed = [gzip.compress(member) for member in members]
    packed[9] = packed[9][:100]
    (tmp_path / "a.warc.gz").write_bytes(b"".join(packed))
    corpus = make(tmp_path / "runs", Warc(name="w", path=str(tmp_path / "a.warc.gz")))
    assert corpus.summary["kept"]["documents"] == 18
    bad = [json.loads(line) for line in (corpus.folder / "quarantine.jsonl").read_text().splitlines()]
    assert sorted(line["locator"] for line in bad) == sorted(f"a.warc.gz@{sum(map(len, packed[:n]))}" for n in (5, 9))


def test_what_changed_while_it_was_read_is_read_again_by_the_next_build(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("one\ntwo\n")
    source = Text(name="t", path=str(path), separator="\n")
    parts = source.partitions()
    path.write_text("one\ntwo\nthree\n")
    with monkeypatch.context() as patch:
        patch.setattr(Text, "partitions", lambda self: parts)
        first = make(tmp_path / "runs", source)
    assert first.summary["quarantine"] == 1
    assert documents(make(tmp_path / "runs", source))["text"].to_pylist() == ["one", "two", "three"]
