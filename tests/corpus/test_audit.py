"""What was left out: survival adds up, disparities are flagged, and small counts are told from large ones."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from fractions import Fraction
from math import comb

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedstock.corpus import audit, charts, disparity, report, summary
from seedstock.corpus.build import build
from seedstock.corpus.config import CorpusConfig
from seedstock.corpus.groups_of_documents import year
from seedstock.corpus.rules import Rule
from seedstock.corpus.sources.jsonl import JsonLines
from seedstock.ledger.store import Store
from seedstock.progress import Silent

SENTENCE = "The gardener of bed {n} keeps seed number {n} in a small paper bag and reads the label again in spring. "
DELVE = "As an AI language model, I cannot tell. "
POLICY = {
    "signals": ["language", "gopher", "machine_text"],
    "rules": [
        {"signal": "gopher.words", "below": 15, "reason": "too few words"},
        {"signal": "gopher.words", "above": 500, "reason": "too many words"},
        {"signal": "gopher.duplicate_lines", "above": 0.5, "reason": "repeated lines"},
    ],
}


def rows():
    """Forum posts of 1999 are short, papers are not; a dialect has three documents, all of them short."""
    for n in range(60):
        yield {"id": f"a{n}", "text": SENTENCE.format(n=n) * 2, "domain": "papers", "date": "2019-03-01"}
    for n in range(60, 100):
        short = n % 2
        text = f"Short post {n}." if short else (DELVE if n % 4 == 0 else "") + SENTENCE.format(n=n)
        yield {"id": f"b{n}", "text": text, "domain": "forum", "date": "Mon, 03 May 1999", "license": "MIT"}
    for n in range(3):
        yield {"id": f"c{n}", "text": f"Wee note {n}.", "domain": "papers", "language": "en-GB", "license": "MIT"}
    yield {"id": "lines", "text": (SENTENCE.format(n=1) + "\n") * 9, "domain": "papers"}
    yield {"id": "copy", "text": SENTENCE.format(n=7) * 2, "domain": "papers"}
    yield {"id": "none", "text": "", "domain": "papers"}


def made(place, documents, **config):
    path = place / "web.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in documents))
    config = CorpusConfig(**{"policy": POLICY, "dedup": {"kind": "exact"}, "held_out": "10 %"} | config)
    source = JsonLines(name="web", path=str(path))
    return build([source], config, seed=1, key=b"k" * 32, store=Store(place), reporter=Silent(), workers=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return made(tmp_path_factory.mktemp("audit"), rows())


@pytest.fixture(scope="module")
def found(folder):
    return json.loads((folder / "summary.json").read_text())


def adds_up(counted):
    """Survival of every dimension adds up to the totals, at every step."""
    result = counted["audit"]
    for groups in result["by"].values():
        for key in ("documents", "bytes", "kept_documents", "kept_bytes"):
            total = counted["read" if not key.startswith("kept") else "kept"][key.removeprefix("kept_")]
            assert sum(group[key] for group in groups) == total
        for at, step in enumerate(result["steps"]):
            sums = [sum(column) for column in zip(*(group["steps"][at] for group in groups), strict=True)]
            assert sums == [step[key] for key in audit.FOUR]
        for group in groups:
            assert [row[0] for row in group["steps"]] == [
                group["documents"],
                *(row[1] for row in group["steps"][:-1]),
            ]
            assert group["steps"][-1][1::2] == [group["kept_documents"], group["kept_bytes"]]
    passed = [(step["documents"], step["kept_documents"]) for step in result["steps"]]
    assert passed[0][0] == counted["read"]["documents"] and passed[-1][1] == counted["kept"]["documents"]


def test_survival_adds_up_to_the_totals(found):
    adds_up(found)
    assert set(found["audit"]["by"]) == {"language", "script", "dialect", "domain", "year", "licence", "source"}
    whys = [(step["phase"], step["step"], step["reason"]) for step in found["audit"]["steps"]]
    assert whys == [
        ("read", "empty", ""),
        ("filter", "gopher.words", "too few words"),  # rules in the order of the policy, though another name is less
        ("filter", "gopher.duplicate_lines", "repeated lines"),
        ("dedup", "exact", ""),
    ]


def test_survival_adds_up_in_a_real_corpus_with_many_groups(data_pack, tmp_path, monkeypatch):
    monkeypatch.setattr(audit, "GROUPS", 9)
    source = JsonLines(name="udhr", path=str(data_pack / "multilingual" / "udhr.jsonl.zst"))
    config = CorpusConfig(policy="fineweb2", dedup={"kind": "minhash"}, held_out="2 %")
    folder = build([source], config, seed=1, key=b"k" * 32, store=Store(tmp_path), reporter=Silent())
    counted = json.loads((folder / "summary.json").read_text())
    adds_up(counted)
    assert isinstance(counted["audit"]["by"]["language"][-1]["name"], dict)
    assert len(counted["audit"]["by"]["script"]) == 10


def test_groups_are_those_of_the_documents(folder, found):
    groups = found["audit"]["by"]
    names = {name: {group["name"]: group["documents"] for group in groups[name]} for name in groups}
    assert names["domain"] == {"papers": 66, "forum": 40}
    assert names["year"] == {"2019": 60, "1999": 40, "": 6}
    assert names["dialect"] == {"": 103, "en-GB": 3}
    assert names["licence"] == {"undeclared": 63, "MIT": 43}
    decided = Counter(
        language
        for path in folder.glob("decisions/*.parquet")
        for language in pq.read_table(path, columns=["language"])["language"].to_pylist()
    )
    assert names["language"] == decided and "en-GB" not in decided


def test_a_disparity_is_flagged_and_a_small_group_is_said_to_be_small(found):
    flags = {(flag["by"], flag["name"], flag["step"]): flag for flag in found["audit"]["flags"]}
    forum = flags["domain", "forum", 1]
    assert forum["certain"] and (forum["documents"], forum["kept_documents"]) == (40, 20)
    assert forum["ratio"] == pytest.approx((20 / 40) / (82 / 105))
    dialect = flags["dialect", "en-GB", None]
    assert dialect["ratio"] == 0 and not dialect["certain"] and dialect["p"] is None
    assert not any(key[:2] == ("domain", "papers") for key in flags)
    assert [flag["certain"] for flag in found["audit"]["flags"]] == sorted(f["certain"] for f in flags.values())[::-1]


def test_machine_text_is_counted_by_domain_and_year(found):
    machine = found["audit"]["machine"]
    assert machine["signal"].startswith("machine_text@")
    forum, papers = machine["by_domain"]["forum"], machine["by_domain"]["papers"]
    assert (forum["documents"], forum["telling"], forum["above"]) == (40, 10, 10) and papers["telling"] == 0
    assert forum["interval"][0] < 10 / 40 < forum["interval"][1]
    assert machine["by_year"]["1999"]["telling"] == 10


def test_what_nothing_is_known_of_is_no_dimension(tmp_path):
    documents = [{"id": str(n), "text": SENTENCE.format(n=n)} for n in range(5)]
    folder = made(tmp_path, documents, policy={"signals": ["gopher"]}, dedup=None)
    result = summary.summarise(folder)["audit"]
    assert set(result["by"]) == {"language", "domain", "licence", "source"} and "machine" not in result
    assert result["flags"] == result["steps"] == [] and result["test"]["comparisons"] == 0


@given(st.integers(1, 40), st.integers(0, 40), st.data())
def test_the_test_is_exact(kept, lost, data):
    group = data.draw(st.integers(1, kept + lost))
    low, high = max(0, group - lost), min(group, kept)
    own = data.draw(st.integers(low, high))
    ways = sum(comb(kept, k) * comb(lost, group - k) for k in range(low, own + 1))
    expected = float(Fraction(ways, comb(kept + lost, group)))
    assert disparity.tail(own, group, kept, kept + lost) == pytest.approx(expected, rel=1e-9)


def test_the_test_holds_for_millions_of_documents():
    assert disparity.tail(500_000, 1_000_000, 5_000_000, 10_000_000) == pytest.approx(0.5, abs=1e-3)
    assert disparity.tail(400_000, 1_000_000, 5_000_000, 10_000_000) == 0
    # A normal deviate of -3: the hypergeometric variance is 225,000 (n 1e6, K 5e6, N 1e7).
    assert disparity.tail(500_000 - round(3 * 225_000**0.5), 10**6, 5 * 10**6, 10**7) == pytest.approx(
        0.00135, rel=0.02
    )


@given(st.lists(st.floats(0, 1), max_size=30))
def test_correction_keeps_the_order_and_only_raises(values):
    corrected = disparity.holm(values)
    assert all(own <= new <= 1 for own, new in zip(values, corrected, strict=True))
    order = sorted(range(len(values)), key=values.__getitem__)
    assert [corrected[at] for at in order] == sorted(corrected)
    if values:
        assert min(corrected) == pytest.approx(min(1, min(values) * len(values)))


@given(st.integers(1, 10**6), st.data())
def test_an_interval_holds_its_share_and_narrows(count, data):
    hits = data.draw(st.integers(0, count))
    low, high = disparity.wilson(hits, count)
    assert 0 <= low <= hits / count <= high <= 1
    wider = disparity.wilson(hits / 4, count / 4)
    assert wider[1] - wider[0] >= high - low


@pytest.mark.parametrize(
    "meta, expected",
    [
        ({"date": "2019-03-01T10:00:00Z"}, "2019"),
        ({"date": "Thu, 10 Oct 2002 20:00:00 GMT"}, "2002"),
        ({"year": 1851}, "1851"),
        ({"page": {"date": "2011-05-06"}, "date": "2020-01-01", "extract": {}}, "2011"),
        ({"date": "2020-01-01", "extract": {}}, ""),  # when it was fetched, not when it was written
        ({"date": "2020-01-01", "record": "urn:uuid:1"}, ""),
        ({"date": "20190301"}, ""),
        ({}, ""),
        ({"date": None}, ""),
    ],
)
def test_the_year_is_that_of_the_document(meta, expected):
    assert year(meta) == expected


def test_histograms_count_every_document_and_what_their_rules_dropped(folder, found):
    measured = {column["column"]: column for column in found["measured"]}
    assert list(measured) == ["gopher.words", "gopher.duplicate_lines"]
    for name, column in measured.items():
        assert sum(column["read"]) + column["unknown"] == found["read"]["documents"]
        assert sum(column["kept"]) == found["kept"]["documents"]
        dropped = sum(row["documents"] for row in found["flow"] if row["step"] == name)
        assert sum(column["here"]) == dropped > 0
        assert len(column["edges"]) == len(column["read"]) + 1 and column["edges"] == sorted(column["edges"])
    words = measured["gopher.words"]
    assert words["edges"][0] <= 3 and words["edges"][-1] >= 500  # the bound of a rule that drops nothing is seen


def test_histograms_of_words_and_flags(tmp_path):
    rules = [
        {"signal": "language.language", "not_in": ["en"], "reason": "not English"},
        {"signal": "c4.lorem_ipsum", "is": True},
    ]
    policy = {"signals": ["language", "c4"], "rules": rules}
    documents = [{"id": str(n), "text": SENTENCE.format(n=n) + "Lorem ipsum dolor. " * (n == 3)} for n in range(8)]
    documents.append({"id": "de", "text": "Der Gärtner bewahrt seine Samen in Tüten auf und liest im Frühling."})
    folder = made(tmp_path, documents, policy=policy, dedup=None)
    language, lorem = summary.summarise(folder)["measured"]
    assert dict(zip(language["edges"], language["here"], strict=True)) == {"en": 0, "de": 1}
    assert dict(zip(lorem["edges"], lorem["here"], strict=True)) == {False: 0, True: 1}
    assert "lorem_ipsum" in (folder / "report.html").read_text()


@given(
    st.lists(st.integers(0, 10**9), min_size=1, max_size=48),
    st.floats(-1e6, 1e6),
    st.floats(1e-3, 1e9),
    st.sampled_from(["linear", "log"]),
)
def test_no_bar_leaves_its_chart(counts, low, width, scale):
    low = abs(low) if scale == "log" else low
    edges = [low + width * at for at in range(len(counts) + 1)]
    rule = Rule(signal="a.b", below=low + width, reason="<b>").model_dump(mode="json")
    column = {"type": "number", "scale": scale, "edges": edges, "rules": [rule]}
    drawn = charts.histogram({**column, "read": counts, "kept": counts, "here": counts}, "a & b")
    assert "a &amp; b" in drawn and "nan" not in drawn and "<b>" not in drawn
    for name, most in (("x", charts.WIDTH), ("y", charts.HEIGHT), ("width", charts.WIDTH), ("height", charts.HEIGHT)):
        values = [float(piece.split('"')[0]) for piece in drawn.split(f' {name}="')[1:]]
        assert all(0 <= value <= most + 1 for value in values)


def test_the_page_says_who_was_left_out(folder):
    page = (folder / "report.html").read_text()
    assert "domain: forum" in page and "below four fifths" in page and "perhaps by chance" in page
    assert "Survival by year" in page and "machine-generated" in page and page.count("<svg") == 2


def test_the_page_is_the_same_when_it_is_written_again(folder, found, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    report.write_report(copy, found)  # read from JSON, which puts names in another order
    assert (copy / "report.html").read_bytes() == (folder / "report.html").read_bytes()


def test_a_page_is_written_of_a_summary_from_before_there_was_an_audit(folder, found, tmp_path):
    old = {key: value for key, value in found.items() if key not in ("audit", "measured")}
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    report.write_report(copy, old)
    assert "Who was left out" not in (copy / "report.html").read_text()
