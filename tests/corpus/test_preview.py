"""A look at what the steps would do: the decisions are those of a build, the shares are near the truth."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from batches import library
from poisons import Poems

from seedstock.corpus import Corpus, drawing, preview, survey
from seedstock.corpus.build import build
from seedstock.corpus.config import CorpusConfig
from seedstock.corpus.sources.base import Item, Partition
from seedstock.corpus.sources.jsonl import JsonLines
from seedstock.errors import DataError
from seedstock.ledger.store import Store
from seedstock.progress import Silent

KEY = b"k" * 32
SENTENCE = "The gardener of bed {n} keeps seed number {n} in a paper bag and reads the label again in spring. "
TOKEN = "gh" + "p_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7cF0iL3oR6"
POLICY = {
    "signals": ["gopher", "emails", "secrets"],
    "rules": [{"signal": "gopher.words", "below": 10, "reason": "too few words"}],
    "redact": {"emails": "<email>", "secrets": "<secret>"},
}


def look(sources, config, count=200, seed=1, **given):
    return preview.preview(sources, config, count=count, seed=seed, key=KEY, workers=0, **given)


def decided(folder):
    """Each document's decision by its place."""
    corpus, found = Corpus(folder), {}
    for part in corpus.parts:
        places = pq.read_table(folder / "documents" / part, columns=["source", "locator"]).to_pylist()
        rows = pq.read_table(folder / "decisions" / part).to_pylist()
        for place, row in zip(places, rows, strict=True):
            found[place["source"], place["locator"]] = (row["decision"], row["phase"], row["step"], row["reason"])
    return found


@pytest.fixture
def states(monkeypatch):
    """The states that were decided, so that every drawn document's decision is seen."""
    seen = []
    result = preview._result

    def watch(state, *rest):
        places = [
            place for piece in state.pieces for place in zip(*preview._columns(piece, "source", "locator"), strict=True)
        ]
        names = np.where(state.dropped, "dropped", np.where(state.changed, "changed", "kept"))
        why = zip(names.tolist(), state.phase[:], state.step[:], state.reason[:], strict=True)
        seen.append(dict(zip(places, why, strict=True)))
        return result(state, *rest)

    monkeypatch.setattr(preview, "_result", watch)
    return seen


def test_decisions_are_those_of_a_build(tmp_path, states):
    for number, text in enumerate(library(1_500_000)):
        row = {"text": text, "license": "GPL-3.0-only" if number % 9 == 0 else "MIT"}
        with (tmp_path / f"{number % 7}.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
    source = JsonLines(name="library", path=str(tmp_path / "*.jsonl"), domain="code")
    config = CorpusConfig(policy="code-and-docs", dedup=None, held_out="2 %")
    folder = build([source], config, seed=1, key=KEY, store=Store(tmp_path), reporter=Silent(), workers=0)
    result = look([source], config, count=40)
    full, (drawn,) = decided(folder), states
    assert 30 <= len(drawn) == result["documents"] <= 60
    assert all(full[place] == why for place, why in drawn.items())
    assert {why[0] for why in drawn.values()} == {"kept", "changed", "dropped"}
    counted = Counter(why[1:] for why in drawn.values() if why[0] == "dropped")
    assert {(row["phase"], row["step"], row["reason"]): row["documents"] for row in result["flow"]} == counted


def web(place: Path, count: int, files: int = 1, short: int = 4) -> JsonLines:
    for file in range(files):
        lines = [
            {"id": f"{file}-{n}", "text": "Too few." if n % short == 0 else SENTENCE.format(n=n) * (1 + n % 5)}
            for n in range(count)
        ]
        (place / f"{file:03d}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return JsonLines(name="web", path=str(place), licence="MIT")


def test_a_small_source_is_read_whole_and_nothing_is_estimated(tmp_path):
    result = look([web(tmp_path, 40)], CorpusConfig(policy=POLICY, held_out="2 %"))
    assert result["documents"] == 40 == result["sources"][0]["estimated_documents"]
    (row,) = [row for row in result["flow"] if row["phase"] == "filter"]
    assert row["share"] == 0.25 and row["interval"] == [0.25, 0.25] and row["estimated_documents"] == 10
    assert result["kept"]["documents"] + sum(row["documents"] for row in result["flow"]) == 40


def test_intervals_hold_the_truth_about_as_often_as_they_say(tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "SMALL", 2_000)  # so that not every partition is drawn
    policy = {"signals": ["gopher"], "rules": POLICY["rules"]}
    source, config = web(tmp_path, 100, files=40), CorpusConfig(policy=policy, dedup=None, held_out="2 %")
    held, shares = 0, []
    for seed in range(10):
        result = look([source], config, count=100, seed=seed)
        (row,) = result["flow"]
        held += row["interval"][0] <= 0.25 <= row["interval"][1]
        shares.append(row["share"])
        assert result["sources"][0]["drawn_partitions"] < 40
        assert result["sources"][0]["estimated_documents"] == pytest.approx(4000, rel=0.1)
    assert held >= 8 and np.mean(shares) == pytest.approx(0.25, abs=0.04)


def test_the_same_seed_draws_the_same_documents(tmp_path, states):
    source, config = web(tmp_path, 300), CorpusConfig(policy=POLICY, held_out="2 %")
    results = [look([source], config, count=30, seed=seed) for seed in (1, 1, 2)]
    assert results[0] == results[1] and list(states[0]) == list(states[1])
    assert list(states[0]) != list(states[2])


def test_large_partitions_are_not_read_to_their_end(tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "READ", 100_000)
    source = web(tmp_path, 3000)
    result = look([source], CorpusConfig(policy=POLICY, held_out="2 %"), count=20)
    assert result["sources"][0]["read_bytes"] < 300_000 and result["sources"][0]["read_whole"] == 0
    assert any("only the beginning was read: web" in note for note in result["notes"])
    assert result["sources"][0]["estimated_documents"] == pytest.approx(3000, rel=0.5)


def test_every_source_is_looked_at(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    large = web(tmp_path / "a", 2000)
    small = web(tmp_path / "b", 15).model_copy(update={"name": "small"})
    result = look([large, small], CorpusConfig(policy=POLICY, held_out="2 %"), count=50)
    assert [source["source"] for source in result["sources"]] == ["web", "small"]
    assert result["sources"][1]["documents"] >= 10


def test_changes_are_shown_and_what_they_hide_is_not(tmp_path):
    path = tmp_path / "mail.jsonl"
    secret = f"Ask ann.lee@firm.co.uk or bob@firm.co.uk about {TOKEN} today. "
    rows = [{"id": f"{n}", "text": SENTENCE.format(n=n) + secret + SENTENCE.format(n=n)} for n in range(12)]
    rows.append({"id": "kim@firm.co.uk", "text": "Short: kim@firm.co.uk"})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "not json\n")
    source = JsonLines(name="mail", path=str(path), licence="MIT")
    result = look([source], CorpusConfig(policy=POLICY, dedup=None, held_out="10 %"))
    shown = json.dumps(result, ensure_ascii=False)
    assert "firm.co.uk" not in shown and TOKEN not in shown
    emails, secrets = result["edits"]
    assert (emails["kind"], emails["edits"], emails["documents"]) == ("emails", 24, 12)
    assert secrets["documents"] == 12 and secrets["share"] == pytest.approx(12 / 13)
    example = emails["examples"][0]
    assert (
        example["before"].endswith("Ask") and example["replacement"] == "<email>" and set(example["removed"]) == {"▮"}
    )
    assert result["unreadable"]["documents"] == 1 and result["unreadable"]["reasons"][0]["source"] == "mail"


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    (tmp_path / "in").mkdir()
    look([web(tmp_path / "in", 40)], CorpusConfig(policy=POLICY, held_out="2 %"), runs=tmp_path / "runs")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "temporary"]
    assert not list((tmp_path / "temporary").iterdir())


def test_duplicates_are_said_to_be_only_those_among_the_drawn(tmp_path):
    path = tmp_path / "web.jsonl"
    path.write_text("".join(json.dumps({"id": n, "text": SENTENCE.format(n=n % 6)}) + "\n" for n in range(12)))
    source = JsonLines(name="web", path=str(path), licence="MIT")
    result = look([source], CorpusConfig(policy=POLICY, dedup={"kind": "exact"}, held_out="10 %"))
    (row,) = result["flow"]
    assert row["across"] and row["documents"] == 6 and row["share"] is None and row["interval"] is None


def test_sources_without_documents_are_an_error(tmp_path):
    (tmp_path / "web.jsonl").write_text("")
    with pytest.raises(DataError, match="no documents"):
        look([JsonLines(name="web", path=str(tmp_path))], CorpusConfig(policy=POLICY))


class Failing(Poems):
    """A source whose reader breaks after some documents."""

    def partitions(self):
        return [Partition("p", fingerprint="p", bytes=1000)]

    def read(self, partition):
        for n in range(5):
            yield Item(f"p{n}", text=SENTENCE.format(n=n), licence="MIT")
        raise ValueError("the shelf fell down")


def test_what_was_read_before_a_failure_is_looked_at():
    result = look([Failing(name="shelf")], CorpusConfig(policy=POLICY, held_out="10 %"))
    assert result["documents"] == 5 and result["unreadable"]["documents"] == 1
    assert "the shelf fell down" in result["unreadable"]["reasons"][0]["reason"]


def test_shares_are_weighted_and_a_partition_counts_as_one_draw():
    hit = np.array([True] * 10 + [False] * 30)
    clusters = [("s", str(n // 10)) for n in range(40)]
    together = survey.Survey(40, np.ones(40, np.int64), np.ones(40), clusters)
    apart = survey.Survey(40, np.ones(40, np.int64), np.ones(40), [("s", str(n)) for n in range(40)])
    wide, narrow = (one.share(hit)["interval"] for one in (together, apart))
    assert wide[0] < narrow[0] < 0.25 < narrow[1] < wide[1]
    weights = np.array([3.0] * 10 + [1.0] * 30)
    weighted = survey.Survey(40, np.ones(40, np.int64), weights, clusters).share(hit)
    assert weighted["share"] == 0.5 and weighted["estimated_documents"] == 30
