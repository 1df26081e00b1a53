"""Two corpora side by side: nothing differs from itself, and exchanging the sides exchanges the answer."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from batches import library

from seedstock import corpus_views
from seedstock.cli.console import terminal
from seedstock.corpus import Corpus
from seedstock.corpus.build import build
from seedstock.corpus.config import CorpusConfig
from seedstock.corpus.diff import diff
from seedstock.corpus.settings_diff import settings
from seedstock.corpus.sources.jsonl import JsonLines
from seedstock.errors import IntegrityError
from seedstock.ledger.store import Store
from seedstock.progress import Silent

KEY = b"k" * 32
SENTENCE = "The gardener of bed {n} keeps seed number {n} in a paper bag and reads the label again in spring. "


def policy(least, **more):
    rule = {"signal": "gopher.words", "below": least, "reason": "too few words"}
    return {"signals": ["gopher", "licence"], "rules": [rule], **more}


def web(place, numbers, name="web"):
    path = place / f"{name}.jsonl"
    rows = [
        {"id": n, "text": SENTENCE.format(n=n) * (1 + n % 3), "license": "MIT" if n % 2 else "ISC"} for n in numbers
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return JsonLines(name="web", path=str(path), domain="docs")


def made(place, source, key=KEY, **config):
    asked = CorpusConfig(**{"policy": policy(10), "dedup": {"kind": "exact"}, "held_out": "10 %"} | config)
    return build([source], asked, seed=1, key=key, store=Store(place), reporter=Silent(), workers=0)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """B has twenty other documents, and a bound that drops those of one sentence."""
    place = tmp_path_factory.mktemp("diff")
    a = made(place, web(place, range(100), "a"))
    return a, made(place, web(place, [n for n in range(120) if n >= 20], "a"), policy=policy(30))


def exchanged(found):
    """The difference seen from the other side, without the samples."""
    sides = {"a": "b", "b": "a", "only_a": "only_b", "only_b": "only_a", "a_bytes": "b_bytes", "b_bytes": "a_bytes"}

    def turn(value):
        if isinstance(value, list):
            return [turn(one) for one in value]
        if isinstance(value, dict):
            return {sides.get(key, key): turn(one) for key, one in value.items() if key != "samples"}
        return value

    return turn(found)


def plain(found):
    return exchanged(exchanged(found))


def as_set(entries):
    return sorted(json.dumps(entry, sort_keys=True) for entry in entries)


def test_nothing_differs_from_itself(pair):
    found = diff(pair[0], pair[0])
    assert found["both"] == found["a"]["documents"] == 100 and found["a"] == found["b"]
    assert found["decisions"] == found["splits"] == found["settings"] == [] and found["texts"] == 0
    assert found["only_a"]["documents"] == found["only_b"]["documents"] == 0
    assert all(row["a"] == row["b"] for rows in found["by"].values() for row in rows)


def test_exchanging_the_sides_exchanges_the_answer(pair):
    one, other = diff(*pair), diff(*reversed(pair))
    turned = exchanged(other)
    assert as_set(plain(one).pop("settings")) == as_set(turned.pop("settings"))
    ours = plain(one)
    ours.pop("settings")
    assert ours == turned


def test_documents_decisions_and_bounds_that_differ_are_told(pair):
    found = diff(*pair)
    a, b = (Corpus(folder) for folder in pair)
    assert found["matched_by"] == "id" and found["both"] == 80
    assert found["only_a"]["documents"] == found["only_b"]["documents"] == 20
    (changed,) = found["decisions"]
    assert changed["a"]["decision"] == "kept" and changed["b"]["reason"] == "too few words"
    assert changed["documents"] == sum(1 for n in range(20, 100) if n % 3 == 0)
    assert len(changed["samples"]) == 3 and all("web" in sample["source"] for sample in changed["samples"])
    keys = {entry["key"]: (entry["a"], entry["b"]) for entry in found["settings"]}
    assert keys["policy.rules: gopher.words below"] == (10.0, 30.0)
    assert set(keys) == {"policy.rules: gopher.words below", "sources.web.content"}
    for side, corpus in (("a", a), ("b", b)):
        assert found[side]["kept_bytes"] == corpus.summary["kept"]["bytes"]
        for dimension in ("source", "domain", "language", "licence"):
            named = {row["name"]: row[side] for row in found["by"][dimension] if row[side]["documents"]}
            assert named == corpus.summary[f"by_{dimension}"]


def test_memory_is_bounded_and_the_answer_the_same(pair, tmp_path):
    found = diff(*pair, work=tmp_path, records=8)
    whole = diff(*pair)
    assert plain(found) == plain(whole) and not list(tmp_path.iterdir())


def test_a_real_corpus_with_another_policy(tmp_path):
    rows = [{"text": text, "license": "MIT"} for text in library(600_000)]
    (tmp_path / "library.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, *rows[:5]]))
    source = JsonLines(name="library", path=str(tmp_path / "library.jsonl"), domain="code")
    a = made(tmp_path, source, policy="code-and-docs")
    b = made(tmp_path, source, policy=policy(400), dedup={"kind": "minhash"})
    found = diff(a, b)
    decisions = [Corpus(folder).decisions() for folder in (a, b)]
    names = [tuple(table[key].to_pylist() for key in ("decision", "phase", "step", "reason")) for table in decisions]
    expected = Counter(
        (left, right)
        for left, right in zip(zip(*names[0], strict=True), zip(*names[1], strict=True), strict=True)
        if left != right
    )
    told = {(tuple(e["a"].values()), tuple(e["b"].values())): e["documents"] for e in found["decisions"]}
    assert told == expected and len(told) > 1 and found["both"] == decisions[0].num_rows
    assert found["only_a"]["documents"] == found["only_b"]["documents"] == 0


def test_corpora_of_two_projects_are_matched_by_their_texts(pair, tmp_path):
    other = made(tmp_path, web(tmp_path, range(50)), key=b"o" * 32)
    found = diff(pair[0], other)
    assert found["matched_by"] == "text" and found["both"] == 50 and found["only_b"]["documents"] == 0


def test_documents_that_were_read_twice_are_matched_with_their_like(tmp_path):
    a = made(tmp_path, web(tmp_path, [*range(20), *range(5)]), dedup=None)
    b = made(tmp_path, web(tmp_path, range(20)), dedup=None)
    found = diff(a, b)
    assert found["both"] == 20 and found["decisions"] == []
    assert found["only_a"]["documents"] == 5 and found["only_a"]["kept_documents"] == 0
    assert diff(a, a)["both"] == 25 and diff(a, a)["decisions"] == []


def test_documents_that_were_cut_in_two_match_themselves(tmp_path):
    folder = made(tmp_path, web(tmp_path, range(10)), held_out={"tail": "20 %"}, dedup=None)
    found = diff(folder, folder)
    assert found["both"] == 20 and not found["decisions"] and not found["splits"]


def test_rules_are_matched_by_what_they_look_at():
    def inputs(*rules):
        return {"corpus": {"policy": {"rules": list(rules)}}}

    a = inputs(
        {"signal": "s.x", "below": 1, "language": ["de"]}, {"signal": "s.x", "below": 2}, {"signal": "s.y", "is": 1}
    )
    b = inputs(
        {"signal": "s.x", "below": 3}, {"signal": "s.x", "below": 1, "language": ["de"]}, {"signal": "s.z", "is": 1}
    )
    found = {entry["key"]: (entry["a"], entry["b"]) for entry in settings(a, b)}
    assert found == {
        "policy.rules: s.x below": (2, 3),
        "policy.rules: s.y is": (1, None),
        "policy.rules: s.z is": (None, 1),
    }


def test_what_is_no_corpus_is_an_error(pair, tmp_path):
    with pytest.raises(IntegrityError, match="no corpus"):
        diff(pair[0], tmp_path)


def test_the_difference_is_shown(pair, capsys):
    terminal().print(corpus_views.compared(diff(*pair)))
    shown = " ".join(capsys.readouterr().out.split())
    assert "too few words" in shown and "only in A" in shown and "gopher.words" in shown
    terminal().print(corpus_views.compared(diff(pair[0], pair[0])))
    assert "the same documents, decided alike" in capsys.readouterr().out
