"""A corpus from end to end: every document has its decision, and the folder says what the architecture says."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from poisons import Poems

from seedstock.corpus import Corpus
from seedstock.corpus.build import build, inputs_of
from seedstock.corpus.config import CorpusConfig
from seedstock.corpus.sources.base import Source
from seedstock.corpus.sources.jsonl import JsonLines
from seedstock.corpus.sources.python_packages import PythonPackages
from seedstock.corpus.sources.text import Text
from seedstock.errors import DataError, RecipeError
from seedstock.ledger import manifest
from seedstock.ledger.store import Store
from seedstock.progress import Silent

KEY = b"k" * 32
CODE = {"policy": "code-and-docs", "dedup": {"kind": "exact"}, "held_out": "10 %"}
PLAIN = {"policy": "none", "dedup": None, "held_out": "10 %"}


def make(runs: Path, *sources: Source, seed: int = 1, workers: int | None = 0, **config) -> Path:
    return build(
        sources, CorpusConfig(**config), seed=seed, key=KEY, store=Store(runs), reporter=Silent(), workers=workers
    )


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def records(path: Path, *rows: dict) -> JsonLines:
    path.write_text("".join(json.dumps({"license": "MIT", **row}) + "\n" for row in rows))
    return JsonLines(name="web", path=str(path), domain="docs")


PROSE = (
    "The {n}th gardener of the village keeps seeds in small paper bags, and writes on every bag when and where the "
    "plant was found, who gave it, and what it needs. In spring, she reads the bags again and decides what to sow in "
    "bed number {n}. "
)


def prose(count: int) -> list[dict]:
    return [{"id": f"p{n}", "text": PROSE.format(n=n), "url": f"https://example.org/{n}"} for n in range(count)]


@pytest.fixture(scope="module")
def packages(tmp_path_factory) -> Path:
    """A corpus of this machine's own packages, small."""
    return make(tmp_path_factory.mktemp("runs"), PythonPackages(name="python", limit="1 MB"), **CODE)


def test_the_folder_is_what_the_architecture_says(packages):
    assert manifest.problems(packages) == []
    names = {path.name for path in packages.iterdir()}
    assert names == {
        *("documents", "signals", "decisions", "edits", "clusters.parquet", "strata.json", "summary.json"),
        *("quarantine.jsonl", "report.html", "manifest.json", "tasks.jsonl"),
    }
    corpus = Corpus(packages)
    assert corpus.parts and corpus.signals()
    for part in corpus.parts:
        documents = pq.read_table(packages / "documents" / part)
        decisions = pq.read_table(packages / "decisions" / part)
        assert documents["id"] == decisions["id"]
        for signal in corpus.signals():
            assert pq.read_table(packages / "signals" / signal / part)["text_sha256"] == documents["text_sha256"]
    assert all(str(packages.parents[2]).encode() not in data for data in tree(packages).values())


def test_every_document_has_its_decision_and_reason(packages):
    decisions = Corpus(packages).decisions().to_pylist()
    assert {row["decision"] for row in decisions} >= {"kept", "dropped"}
    for row in decisions:
        dropped = row["decision"] == "dropped"
        assert (row["stratum"] == -1) == (row["split"] == "") == dropped
        assert all(bool(row[name]) == dropped for name in ("phase", "step", "reason"))


def test_strata_count_what_texts_gives(packages):
    corpus = Corpus(packages)
    size = {row["id"]: 0 for row in corpus.decisions().select(["id"]).to_pylist()}
    for part in corpus.parts:
        table = pq.read_table(packages / "documents" / part, columns=["id", "bytes"])
        size |= dict(zip(table["id"].to_pylist(), table["bytes"].to_pylist(), strict=True))
    for stratum in corpus.strata:
        for split, prefix in (("train", ""), ("held_out", "held_out_")):
            rows = [row for batch in corpus.texts(split, stratum["stratum"], batch=7) for row in batch.to_pylist()]
            assert len(rows) == stratum[f"{prefix}documents"]
            assert sum(size[row["id"]] for row in rows) == stratum[f"{prefix}bytes"]
            assert all(row[name] == stratum[name] for row in rows for name in ("source", "domain", "language"))
    assert sum(stratum["held_out_documents"] for stratum in corpus.strata) > 0


def test_any_number_of_workers_and_any_store_give_the_same_corpus(tmp_path, packages):
    again = make(tmp_path, PythonPackages(name="python", limit="1 MB"), workers=2, **CODE)
    assert again.name == packages.name
    assert tree(again) == tree(packages)


def test_an_up_to_date_corpus_is_not_built_again(tmp_path):
    source = records(tmp_path / "a.jsonl", *prose(20))
    first = make(tmp_path, source, **PLAIN)
    stamp = (first / "manifest.json").stat().st_mtime_ns
    assert make(tmp_path, source, **PLAIN) == first
    assert (first / "manifest.json").stat().st_mtime_ns == stamp
    inputs = inputs_of([source], CorpusConfig(**PLAIN), 1, KEY)
    assert Store(tmp_path).has("corpus", inputs)
    assert KEY.hex() not in json.dumps(inputs)
    assert inputs != inputs_of([source], CorpusConfig(**PLAIN), 2, KEY)
    records(tmp_path / "a.jsonl", *prose(21))
    assert inputs != inputs_of([source], CorpusConfig(**PLAIN), 1, KEY)


def test_a_kind_from_outside_is_recorded_by_package_and_digest(monkeypatch):
    from seedstock import kinds
    from seedstock.corpus import tasks

    found = {"package": "poems", "version": "2", "sha256": "ab"}
    monkeypatch.setattr(kinds, "names", lambda group: [*kinds.TABLE[group], "poems"])
    monkeypatch.setattr(kinds, "provider", lambda group, kind: found)
    tasks.provider.cache_clear()
    inputs = inputs_of([Poems(name="p"), PythonPackages(name="q", include=[])], CorpusConfig(**PLAIN), 1, KEY)
    tasks.provider.cache_clear()
    assert [source["provider"] for source in inputs["sources"]] == [found, None]


def test_a_moved_threshold_reads_nothing_again(tmp_path, monkeypatch):
    source = records(tmp_path / "a.jsonl", *prose(30))
    first = make(tmp_path, source, **PLAIN)
    monkeypatch.setattr(JsonLines, "read", lambda self, partition: pytest.fail("the source was read again"))
    second = make(tmp_path, source, **(PLAIN | {"dedup": {"kind": "exact"}}))
    assert second != first
    assert tree(second)["documents/part-00000.parquet"] == tree(first)["documents/part-00000.parquet"]


def test_an_attempt_that_was_cut_off_is_taken_up(tmp_path, monkeypatch):
    source = records(tmp_path / "a.jsonl", *prose(30))
    whole = tree(make(tmp_path / "whole", source, **PLAIN))
    for cut in ("seedstock.corpus.pieces.assemble", "seedstock.corpus.output.write", "seedstock.ledger.manifest.seal"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(cut, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            make(tmp_path, source, **PLAIN)
        (partial,) = (tmp_path / ".store" / "corpus").glob("*.partial")
        (partial / ".strata.json.123.tmp").write_text("half of a fi")
        monkeypatch.setattr(JsonLines, "read", lambda self, partition: pytest.fail("the source was read again"))
    assert tree(make(tmp_path, source, **PLAIN)) == whole


def test_duplicates_share_a_side_and_one_is_kept(tmp_path):
    texts = prose(200)
    copies = [{**row, "id": f"copy-{row['id']}"} for row in texts]
    corpus = Corpus(make(tmp_path, records(tmp_path / "a.jsonl", *texts, *copies), **CODE))
    decisions = corpus.decisions()
    kept = np.array(decisions["decision"].to_pylist()) != "dropped"
    assert kept.sum() == 200
    clusters = np.array(decisions["cluster"].to_pylist())
    assert (np.bincount(clusters) == 2).all() and (np.bincount(clusters[kept]) == 1).all()
    table = pq.read_table(corpus.folder / "clusters.parquet")
    assert table.num_rows == 400 and sum(table["representative"].to_pylist()) == 200
    assert set(table["size"].to_pylist()) == {2}
    assert 5 < sum(batch.num_rows for batch in corpus.texts("held_out")) < 40


def test_the_held_out_side_stays_when_the_corpus_grows(tmp_path):
    few = Corpus(make(tmp_path / "few", records(tmp_path / "a.jsonl", *prose(100)), **PLAIN))
    many = Corpus(make(tmp_path / "many", records(tmp_path / "b.jsonl", *prose(300)), **PLAIN))
    held = [{row["url"] for batch in corpus.texts("held_out") for row in batch.to_pylist()} for corpus in (few, many)]
    assert held[0] and held[0] == {url for url in held[1] if int(url.rpartition("/")[2]) < 100}


def test_the_tail_of_one_document_is_held_out(tmp_path):
    text = "".join(f"{n}. Zeile äöü €\n" for n in range(1000))
    (tmp_path / "a.txt").write_text(text)
    source = Text(name="t", path=str(tmp_path / "a.txt"), licence="CC0-1.0", language="de")
    corpus = Corpus(make(tmp_path, source, policy="none", dedup=None, held_out={"tail": "10 %"}))
    (train,), (held,) = ([row for b in corpus.texts(split) for row in b.to_pylist()] for split in ("train", "held_out"))
    assert train["text"] + held["text"] == text
    assert len(train["text"]) == int(len(text) * 0.9)
    assert train["id"] == held["id"]
    document = corpus.document(train["id"])
    assert document["meta"]["span"] == [0, len(train["text"].encode())]
    assert document["rest"][0]["meta"]["span"] == [len(train["text"].encode()), len(text.encode())]
    assert corpus.strata[0]["held_out_bytes"] == len(held["text"].encode())


def test_edits_are_made_when_texts_are_read_and_the_raw_text_stays(tmp_path):
    mail = "Bitte schreiben Sie schöne Grüße an hans.beet@saatgut-nord.de oder beet@saatgut-süd.de wegen der Samen. "
    first, last = PROSE.format(n=1), PROSE.format(n=2)
    whole = first + mail + last
    for config in ({}, {"held_out": {"tail": 0.25}}):
        source = records(tmp_path / "a.jsonl", {"id": 1, "text": whole}, *prose(3))
        corpus = Corpus(make(tmp_path, source, **(CODE | config)))
        (id_,) = corpus.find(locator="a.jsonl#1")
        document = corpus.document(id_)
        parts = [document, *document.get("rest", [])]
        assert "".join(part["text"] for part in parts) == whole
        edited = "".join(part["edited"] for part in parts)
        assert "hans.beet@saatgut-nord.de" not in edited and "<email>" in edited
        assert edited.endswith(last) and edited.startswith(first)
        assert [part["decision"]["decision"] for part in parts if part["edits"]] == ["changed"]
        read = [row["text"] for split in ("train", "held_out") for b in corpus.texts(split) for row in b.to_pylist()]
        assert all(part["edited"] in read for part in parts)
        assert not any("hans.beet@saatgut-nord.de" in text for text in read)


def test_a_document_that_edits_leave_nothing_of_is_dropped(tmp_path):
    policy = {"signals": ["emails"], "redact": {"emails": " "}}
    source = records(tmp_path / "a.jsonl", {"id": "mail", "text": "hans.beet@saatgut-nord.de"}, *prose(3))
    corpus = Corpus(make(tmp_path, source, **(PLAIN | {"policy": policy})))
    decision = corpus.document(corpus.find(locator="a.jsonl#mail")[0])["decision"]
    assert (decision["decision"], decision["phase"], decision["split"]) == ("dropped", "edit", "")


def test_what_was_read_twice_or_is_empty_is_dropped_with_the_reason(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "one"}\n{"text": ""}\n{"text": "two"}\n')
    twice = Text(name="t", path=[str(tmp_path / "b.txt"), str(tmp_path / "*.txt")])
    (tmp_path / "b.txt").write_text("three")
    corpus = Corpus(make(tmp_path, JsonLines(name="j", path=str(tmp_path / "a.jsonl")), twice, **PLAIN))
    decisions = corpus.decisions().to_pylist()
    assert [(row["decision"], row["phase"], row["step"]) for row in decisions] == [
        ("kept", "", ""),
        ("dropped", "read", "empty"),
        ("kept", "", ""),
        ("kept", "", ""),
    ]

    class Stutter(Poems):
        def read(self, partition):
            for item in super().read(partition):
                yield item
                yield item

    corpus = Corpus(make(tmp_path, Stutter(name="s", count=5), **PLAIN))
    assert corpus.decisions()["step"].to_pylist() == ["", "repeat"] * 5


def test_a_forgotten_document_leaves_only_its_id(tmp_path):
    source = records(tmp_path / "a.jsonl", *prose(10))
    first = Corpus(make(tmp_path, source, **PLAIN))
    (id_,) = first.find(url="https://example.org/4")
    shutil.rmtree(first.folder)
    (tmp_path / ".store" / "forgotten.jsonl").write_text(json.dumps({"id": id_.hex(), "reason": "asked"}) + "\n")
    corpus = Corpus(make(tmp_path, source, **PLAIN))
    decision = corpus.document(id_)["decision"]
    assert (decision["decision"], decision["reason"]) == ("dropped", "forgotten")
    assert corpus.find(url="https://example.org/4") == []
    assert sum(batch.num_rows for split in ("train", "held_out") for batch in corpus.texts(split)) == 9
    assert b"bed number 4." not in b"".join(
        pq.read_table(path, columns=["text"])["text"][row].as_py().encode()
        for path in (corpus.folder / "documents").iterdir()
        for row in range(10)
    )


def test_a_forgotten_document_that_would_be_cut_in_two_is_still_answered_for(tmp_path):
    rows, config = (
        [{"id": "mail", "text": "hans.beet@saatgut-nord.de " * 9}, *prose(3)],
        CODE | {"held_out": {"tail": 0.25}},
    )
    source = records(tmp_path / "a.jsonl", *rows)
    first = Corpus(make(tmp_path, source, **config))
    (id_,) = first.find(locator="a.jsonl#mail")
    shutil.rmtree(first.folder)
    (tmp_path / ".store" / "forgotten.jsonl").write_text(json.dumps({"id": id_.hex(), "reason": "asked"}) + "\n")
    corpus = Corpus(make(tmp_path, source, **config))
    document = corpus.document(id_)
    assert (document["meta"], document["edited"], document["decision"]["reason"]) == ({}, "", "forgotten")
    assert sum(batch.num_rows for split in ("train", "held_out") for batch in corpus.texts(split)) == 6


def test_training_documents_that_hold_evaluation_items_are_dropped(tmp_path):
    rows = prose(30)
    # All of the prose shares its frame: give the guilty one words of its own.
    words = "nine purple foxes counted every copper coin beneath that crooked wooden bridge at dawn today. "
    rows[7]["text"] = words * 3
    (tmp_path / "test.jsonl").write_text(json.dumps({"question": words}) + "\n")
    config = PLAIN | {"held_out": 0, "decontaminate": [str(tmp_path / "test.jsonl")]}
    corpus = Corpus(make(tmp_path, records(tmp_path / "a.jsonl", *rows), **config))
    dropped = [row for row in corpus.decisions().to_pylist() if row["decision"] == "dropped"]
    assert [(row["phase"], row["step"]) for row in dropped] == [("decontaminate", "test.jsonl")]
    assert re.fullmatch(
        r"shares 13 words in a row with test\.jsonl:1 \(3 of 3, digest [0-9a-f]{16}\)", dropped[0]["reason"]
    )


def test_an_empty_corpus_says_which_step_dropped_most(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe broken")
    with pytest.raises(DataError, match=r"hold no documents; 1 could not be read.*a\.txt") as caught:
        make(tmp_path, Text(name="t", path=str(tmp_path / "a.txt")), **PLAIN)
    assert caught.value.fix
    source = records(tmp_path / "a.jsonl", *({**row, "license": "GPL-3.0-only"} for row in prose(5)))
    with pytest.raises(
        DataError, match=r"nothing is left to train on of 5 documents; 'licence' dropped 5: .*GPL-3.0-only"
    ):
        make(tmp_path, source, **CODE)
    alone = records(tmp_path / "b.jsonl", *prose(1))
    with pytest.raises(DataError, match="all 1 documents are held out") as caught:
        make(tmp_path, alone, **PLAIN | {"held_out": 0.9999})
    assert caught.value.where == "corpus.held_out"


def test_a_document_that_a_signal_fails_on_is_dropped_and_named_and_the_rest_is_kept(tmp_path, monkeypatch):
    from seedstock.corpus.signals.c4 import C4

    right = C4.compute

    def compute(self, batch):
        if any("number 3." in text for text in batch.column("text").to_pylist()):
            raise ZeroDivisionError("three")
        return right(self, batch)

    monkeypatch.setattr(C4, "compute", compute)
    policy = {"signals": ["c4"]}
    corpus = Corpus(make(tmp_path, records(tmp_path / "a.jsonl", *prose(9)), **(PLAIN | {"policy": policy})))
    (id_,) = corpus.find(url="https://example.org/3")
    decision = corpus.document(id_)["decision"]
    assert (decision["decision"], decision["phase"], decision["step"]) == ("dropped", "filter", "c4")
    (line,) = [json.loads(line) for line in (corpus.folder / "quarantine.jsonl").read_text().splitlines()]
    assert (line["id"], line["locator"]) == (id_.hex(), "a.jsonl#p3") and "ZeroDivisionError: three" in line["reason"]
    assert corpus.summary["kept"]["documents"] == 8


def test_two_sources_of_one_name_are_refused(tmp_path):
    with pytest.raises(RecipeError, match="2 sources have the name 'poems'"):
        make(tmp_path, Poems(name="poems"), Poems(name="poems"), **PLAIN)


def test_what_could_not_be_read_is_in_quarantine_and_the_rest_is_kept(tmp_path):
    path = tmp_path / "a.jsonl"
    source = records(path, *prose(5))
    at = path.stat().st_size
    path.write_bytes(path.read_bytes() + b'{"text": "\xff"}\n')
    folder = make(tmp_path, source, **PLAIN)
    (line,) = [json.loads(line) for line in (folder / "quarantine.jsonl").read_text().splitlines()]
    assert line["locator"] == f"a.jsonl@{at}" and "not UTF-8" in line["reason"]
    assert Corpus(folder).summary["quarantine"] == 1
    assert Corpus(folder).summary["kept"]["documents"] == 5


def test_characters_of_the_data_pack_stay_what_they_are(tmp_path, data_pack):
    source = Text(name="shakespeare", path="${SEEDSTOCK_DATA}/text/tinyshakespeare.txt.zst", licence="CC0-1.0")
    corpus = Corpus(make(tmp_path, source, policy="none", dedup=None, held_out={"tail": "10 %"}))
    (train,), (held,) = ([row for b in corpus.texts(split) for row in b.to_pylist()] for split in ("train", "held_out"))
    assert (len(train["text"]), len(held["text"])) == (1_003_854, 111_540)
