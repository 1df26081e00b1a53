"""Quotations are found whatever their length, line breaks and file format, and nothing else is touched."""

import html
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedstock.provenance.erase import pages
from seedstock.provenance.erase.passages import MARK, SHORTEST, Passages

WORDS = [f"w{number * 7919 % 997}" for number in range(400)]
TEXT = " ".join(WORDS[:200]) + "\n\n" + "\n".join(WORDS[200:])


@given(st.integers(0, len(TEXT) - 60), st.integers(45, 400), st.sampled_from(["", "x", "w1 "]), st.booleans())
def test_every_long_enough_quotation_is_found_wherever_it_is_cut(start, length, around, wrapped):
    quote = TEXT[start : start + length].strip()
    shown = "\n   ".join(quote.split()) if wrapped else quote
    scrubbed = Passages([TEXT]).scrub(around + shown + around)
    assert MARK in scrubbed
    assert not any(word in scrubbed.split() for word in quote.split()[1:-1] if len(word) > 3)


@given(st.text(alphabet="abcdefgh ,.", max_size=300))
def test_what_is_not_quoted_stays_the_same_object(text):
    assert Passages([TEXT]).scrub(text) is text


def test_short_texts_and_names_are_found_as_a_whole():
    passages = Passages(["a short note"], exact=["https://example.org/page", "x"])
    assert passages.scrub("see a short\nnote!") == f"see {MARK}!"
    assert passages.scrub("at https://example.org/page.") == f"at {MARK}."
    assert passages.scrub("from https://example.org/pages") == "from https://example.org/pages"
    assert passages.scrub("a shorter note x") == "a shorter note x"


def test_rules_of_dashes_are_nobodys_content():
    assert Passages(["-" * 400]).scrub("=" * 9 + "-" * 90) == "=" * 9 + "-" * 90


def test_shorter_coincidences_are_left_alone():
    assert Passages([TEXT]).find(TEXT[5 : 5 + SHORTEST - 2]) == []


@pytest.mark.parametrize("name", ["events.jsonl", "scores.json", "report.html", "README.md", "notes.txt", "curve.svg"])
def test_formats_stay_what_they_were(tmp_path, name):
    quote = 'def f(a):\n\treturn "é" + a  # <not a tag> & so on, and more of it'
    path = tmp_path / name
    if path.suffix == ".json":
        path.write_text(json.dumps({"loss": 1.5, "text": f"before {quote} after", "n": [1, 2]}, indent=1))
    elif path.suffix == ".jsonl":
        path.write_text(
            "".join(json.dumps({"i": i, "text": f"{i} {quote}"}, ensure_ascii=i < 5) + "\n" for i in range(9))
        )
    elif path.suffix in (".html", ".svg"):
        path.write_text(f'<style>a {{}}</style><p title="{html.escape(quote)}">before {html.escape(quote)}</p>')
    else:
        path.write_text(f"before {quote} after")
    assert pages.scrub(path, Passages([quote])) == "rewritten"
    text = path.read_text()
    assert MARK in text and "and more" not in text
    if path.suffix == ".json":
        assert json.loads(text) == {"loss": 1.5, "text": f"before {MARK} after", "n": [1, 2]}
    if path.suffix == ".jsonl":
        assert [json.loads(line) for line in text.splitlines()] == [{"i": i, "text": f"{i} {MARK}"} for i in range(9)]
    if path.suffix == ".html":
        assert text == f'<style>a {{}}</style><p title="{MARK}">before {MARK}</p>'
    assert pages.scrub(path, Passages([quote])) is None


def test_tables_are_rewritten_and_unknown_formats_removed(tmp_path):
    items = pa.table(
        {"n": [1, 2], "shown": [["other", TEXT[10:90]], ["fine"]], "text": pa.array([TEXT, None]).dictionary_encode()}
    )
    pq.write_table(items, tmp_path / "items.parquet")
    (tmp_path / "events.tfevents").write_bytes(b"\x01\xff" + TEXT[:300].encode() + b"\x00crc")
    (tmp_path / "other.tfevents").write_bytes(b"\x01\xff nothing of it")
    assert pages.quoting(tmp_path, Passages([TEXT])) == ["events.tfevents", "items.parquet"]
    for path in sorted(tmp_path.iterdir()):
        pages.scrub(path, Passages([TEXT]))
    assert pq.read_table(tmp_path / "items.parquet").to_pylist() == [
        {"n": 1, "shown": ["other", MARK], "text": MARK},
        {"n": 2, "shown": ["fine"], "text": None},
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["items.parquet", "other.tfevents"]
