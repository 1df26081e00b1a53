"""Extraction: the content and nothing else, from any bytes, in linear time, whatever the markup."""

from __future__ import annotations

import re
import time
import unicodedata
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import PROSE, labelled, page

from seedstock.corpus.documents import Reader
from seedstock.corpus.extract import repair
from seedstock.corpus.extract.config import ExtractConfig
from seedstock.corpus.extract.encoding import decode
from seedstock.corpus.extract.facts import AUTHORS, DATES, TITLES, _tells, licensing, tags
from seedstock.corpus.extract.items import extracted
from seedstock.corpus.extract.markup import parse
from seedstock.corpus.extract.page import extract
from seedstock.corpus.rights import marks
from seedstock.corpus.sources.base import Item, Unreadable
from seedstock.corpus.sources.text import Text

KINDS = ["router", "lines", "fast", "quality", "union", "all-text"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_takes_the_prose_and_no_script(kind):
    pytest.importorskip("trafilatura")
    found = extract(page().encode(), ExtractConfig(kind=kind), url="https://coast.example/a?b=1")
    assert all(text in found.text for text in PROSE)
    assert "never a text" not in found.text
    assert ("Ten boats" in found.text) == (kind == "all-text")


def test_a_page_says_who_when_and_under_which_terms():
    found = extract(page().encode(), ExtractConfig(kind="lines"), url="https://coast.example/a")
    facts = {"title": "The harbour", "author": "A. Writer", "date": "2024-05-06", "language": "en"}
    assert found.facts == facts | {"canonical": "https://coast.example/harbour"}
    assert found.rights["licences"] == [["CC-BY-4.0", "<link rel=license>"]]
    assert found.rights["robots"] == ["noai"]


def test_an_item_becomes_a_row_with_its_facts_and_what_fails_is_named():
    items = [
        Item("a", raw=page().encode(), media_type="text/html", url="https://coast.example/a"),
        Item("b", raw=bytes(range(256)) * 40, media_type="text/html"),
        Item("c", raw=b"plain"),
        Item("d", raw=b"x" * 2000, media_type="text/html"),
    ]
    config = ExtractConfig(kind="lines", longest=len(page()) + 10_000)
    small = ExtractConfig(kind="lines", longest=1000)
    (rows,) = Reader(Text(name="t", path="."), b"k").rows(extracted(items[:3], config), 10**6)
    assert rows.columns["locator"] == ["a", "c"]
    assert rows.columns["title"] == ["The harbour", None]
    assert '"by": "lines"' in rows.columns["meta"][0] and '"date": "2024-05-06"' in rows.columns["meta"][0]
    assert list(rows.maps) == [0]
    assert [(bad["locator"], bad["reason"][:28]) for bad in rows.quarantine] == [("b", "cannot be extracted: no text")]
    (long,) = extracted(items[3:], small)
    assert isinstance(long, Unreadable) and "more than corpus.extract.longest" in long.reason


@pytest.mark.parametrize(
    ("raw", "declared", "encoding", "how"),
    [
        ("Ærlig talt, grød på øen".encode(), "iso-8859-1", "utf-8", "valid"),
        ("Ærlig talt, grød på øen".encode("latin-1"), "iso-8859-1", "cp1252", "http"),
        (b"<meta charset=windows-1251><p>" + "Привет, мир и все люди".encode("cp1251"), None, "cp1251", "page"),
        (b"<meta charset=utf-8><p>" + "Привет, мир, как дела сегодня у всех".encode("cp1251"), None, "cp1251", "looks"),
        ("日本語のページです。港は静かだった。".encode("shift_jis"), "Shift_JIS", "cp932", "http"),
        (b"\xff\xfe" + "Þetta er textinn".encode("utf-16-le"), "utf-8", "utf-16-le", "mark"),
        (b"\xef\xbb\xbfgr\xc3\xb8d", "cp1252", "utf-8", "mark"),
        (
            b"good text, well nigh all of it in Danish: gr\xc3\xb8d og k\xc3\xb8d og \xc3\xb8l og br\xc3\xb8d " * 4
            + b"\xff",
            "utf-8",
            "utf-8",
            "http",
        ),
        (b"plain ascii", "no-such-encoding", "utf-8", "page"),
    ],
)
def test_the_encoding_is_found_whatever_is_declared(raw, declared, encoding, how):
    pytest.importorskip("resiliparse")
    found = decode(raw, declared)
    assert (found.encoding, found.how) == (encoding, how)
    assert found.kept.encode(encoding, "surrogateescape") == raw[found.offset :]
    assert len(found.kept) == len(found.text)


def test_mojibake_is_read_back_and_what_is_meant_is_kept():
    for text in ("naïve café, “quoted” – it’s über", "Привет — мир", "日本語", "žluťoučký kůň"):
        broken = _as_browsers(text)
        made = repair.edits(broken)
        assert _apply(broken, made) == text
    for text in ("Ângela e Ãtila", "SÃO PAULO", "Crème brûlée", "â single", "© Ã"):
        assert repair.edits(text) == []


@given(st.text())
def test_repair_leaves_composed_text_alone_or_composes_it(text):
    decomposed = unicodedata.normalize("NFD", text)
    made = _apply(decomposed, repair.edits(decomposed))
    assert repair.LEAD.search(decomposed) or made == unicodedata.normalize("NFC", text)


PARTS = [
    "<p>",
    "</p>",
    "<div class=a>",
    "</div>",
    "<a href=x>",
    "</a>",
    "word ",
    "&amp;",
    "<",
    ">",
    "<!--",
    "-->",
    "<script>",
    "</script>",
    "<pre>",
    "\n",
    "'",
    '"',
    "=",
    "<br/>",
    "é",
    "<ul>",
    "</ul>",
    "<LI>",
    "<table>",
    "<tr>",
    "<td>",
    "</table>",
    "<head>",
    "</head>",
    "<title>",
    "<svg/>",
    "</SCRIPT x>",
    "--!>",
    "<!-->",
    "<body id='x'>",
    '<x-y:z k="v>">',
    "</x-y:z>",
    "<?a>",
    "</>",
    "<option>",
    "\xa0",
    "\x1f",
    "<noscript>",
]
BOMBS = {
    "deep": "<div>" * 200_000 + "text",
    "open tags": "<a " * 300_000,
    "comments": "<!-- " * 300_000,
    "end tags": "<p>text</p>" + "</div>" * 300_000,
    "quotes": "<a b='" * 200_001 + ">",
    "scripts": "<script>" * 200_000,
    "heads": "<head>" * 100_000,
    "titles": "<title>" * 100_000,
    "entities": "<p>" + "&" * 500_000 + "&amp" * 100_000,
    "json": '<script type="application/ld+json">' * 20_000,
    "headings": "<h1>" * 100_000,
    "links": '<a rel="license" href="' * 50_000,
    "words": "<p>" + "Ã©" * 300_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_no_markup_takes_more_than_linear_time(name):
    began = time.process_time()
    extract(BOMBS[name].encode(), ExtractConfig(kind="lines"))
    assert time.process_time() - began < 8


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=60))
def test_any_markup_is_read_and_its_lines_lie_in_order(parts):
    source = "".join(parts)
    found = parse(source)
    places = [run for line in found.lines for run in line.runs]
    assert places == sorted(places) and all(0 <= low < high <= len(source) for low, high in places)
    assert all(low <= high for low, high in zip(found.first, found.last, strict=True))
    extract(source.replace("\x1f", "").encode(), ExtractConfig(kind="lines"))


def test_the_parts_of_a_page_that_speak_of_rights_say_what_the_whole_page_says(data_pack):
    for raw, _ in labelled(data_pack, every=6).values():
        source = raw.decode("utf-8", "replace")
        listed = tags(source, parse(source).head)
        assert marks.of_page(licensing(source, listed)) == marks.of_page(source)


def test_every_name_of_a_fact_is_let_through():
    for name in (*TITLES, *AUTHORS, *DATES, "content-language", "og:locale", "og:url"):
        assert _tells(f'name="{name}" content="x"', "meta")


def test_the_labelled_pages_reach_their_score(data_pack):
    """F1 of shingles, on the half of the pages that nothing is fitted on."""
    pytest.importorskip("trafilatura")
    pages = {name: pair for name, pair in labelled(data_pack).items() if int(name[0], 16) % 2}
    scores = [_score(extract(raw).text, truth) for raw, truth in pages.values()]
    precision, recall = (sum(column) / len(scores) for column in zip(*scores, strict=True))
    assert 2 * precision * recall / (precision + recall) > 0.95


def _score(found: str, truth: str) -> tuple[float, float]:
    ours, theirs = (
        Counter(zip(*(words[at:] for at in range(4)), strict=False))
        for words in (re.findall(r"\w+", text) for text in (found, truth))
    )
    both = (ours & theirs).total()
    return (1.0, 1.0) if ours == theirs else (both / max(1, ours.total()), both / max(1, theirs.total()))


def _as_browsers(text: str) -> str:
    """UTF-8 read as Windows-1252, its gaps as control characters."""
    return "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in text.encode())


def _apply(text: str, edits: list[tuple[int, int, str]]) -> str:
    at, parts = 0, []
    for start, end, new in edits:
        parts += [text[at:start], new]
        at = end
    return "".join([*parts, text[at:]])
