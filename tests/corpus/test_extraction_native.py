"""The compiled passes of extraction beside those in Python: the same blocks, measures, texts and places."""

from __future__ import annotations

import ctypes
import html
from html.entities import html5

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import labelled

from seedstock.corpus.extract import compiled, compose, content, features, markup, markup_native, native_tables
from seedstock.corpus.extract.encoding import Decoded, decode
from seedstock.corpus.extract.page import extract
from seedstock.corpus.extract.reading import Reading

pytestmark = pytest.mark.skipif(compiled.library() is None, reason="the compiled passes were not built")

NAMES = ["article", "ad", "ads", "adv", "deck", "post", "items", "subtitle", "qa", "content", "side", "rail", "x", "A1"]
PIECES = [
    *("<p>", "</p>", "<div class=a>", "</div>", "<a href=x>", "</a>", "word ", "<", ">", "<!--", "-->"),
    *("<!-->", "--!>", "<script>", "</script>", "</SCRIPT x>", "<head>", "</head>", "<title>", "<svg/>"),
    *("<noscript>", "<?a>", "</>", "<pre>", "</pre>", "\n", "\n\n", "  ", "\t", "'", '"', "=", "<br/>"),
    *("é", "日本語、", "，", "\xa0", "\x85", "\u2003", "<ul>", "</ul>", "<LI>", "<table>", "<tr>", "<td>"),
    *("<td>1", "</table>", "<h1>", "<option>", "<xmp>", "İ", "\u212a", "<body id='main'>", '<x-y:z k="v">'),
    *("</x-y:z>", '<div class="entry-content sidebar">', "<p id=ads role='nav'>", "<p class='é nav'>"),
    *('<p class="', "&amp;", "&", "&#", "&#0", "&#x80;", "&#55296;", "&#1;", "&nbsp;", "&notit;", "&lt"),
    *("&nGt;", "&nvge;", "&ThickSpace;", "&#10;", "&#1234567890;", "&bogus;", "Sentence, with. ", "UPPER"),
    *("7", "…", "”"),
    *("a long run of plain words that is a sentence of its own, for it is longer than sixty characters, and ends.",),
]
ATTRIBUTES = [*NAMES, *"\"'= -_\xa0é\u212a\t", "class", "CLASS=", ' id="', "role=", "itemprop='"]
some_html = (
    st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=60)
    .map("".join)
    .filter(lambda text: not any(0xD800 <= ord(char) < 0xE000 for char in text))
)


def native(source: str) -> markup_native.Native:
    found = markup_native.read(source, source.encode())
    assert found is not None
    return found


def same_measures(source: str) -> None:
    """That features, words and texts are those that are measured in Python; logarithms to their last bit but one."""
    page, found = markup.parse_plainly(source), native(source)
    texts = content.texts(page)
    if not texts:
        return
    columns, words = found.measured
    assert found.texts() == texts
    assert words.tolist() == [text.count(" ") + 1 for text in texts]
    np.testing.assert_array_max_ulp(columns, features.measure(page, texts), maxulp=1)


def same_texts(source: str, chosen: list[int]) -> None:
    """That a composed text and its map are those made in Python."""
    text, places = compose.compose(markup.parse_plainly(source), chosen)
    found, spans = native(source).compose(chosen)
    assert found == text
    expected = compose.bytewise(text, places, Decoded(source, source, "utf-8", "valid", 0, 0), len(source.encode()))
    assert spans.stretches.tolist() == expected.stretches.tolist()


@settings(max_examples=400, deadline=None)
@given(some_html)
def test_any_markup_is_seen_alike(source):
    assert native(source).page == markup.parse_plainly(source)


@settings(max_examples=400, deadline=None)
@given(some_html)
def test_any_page_is_measured_alike(source):
    same_measures(source)


@settings(max_examples=400, deadline=None)
@given(some_html, st.integers(1, 3))
def test_any_lines_make_the_same_text_and_map(source, step):
    same_texts(source, list(range(0, len(markup.parse_plainly(source).lines), step)))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | some_html.map(str.encode))
def test_any_bytes_are_read_within_bounds(raw):
    """The passes are given bytes that are no UTF-8 as well: nothing is promised of what they find but that they end."""
    found = markup_native.read(raw.decode("utf-8", "replace"), raw)
    assert found is not None
    if found.found.lines:
        found.measured  # noqa: B018
        found.compose_bytes(range(found.found.lines))


def test_real_pages_are_seen_measured_and_composed_alike(data_pack):
    for raw, _ in labelled(data_pack, every=6).values():
        source = decode(raw).text
        page = markup.parse_plainly(source)
        assert native(source).page == page
        same_measures(source)
        if source.encode() == raw:
            same_texts(source, list(range(0, len(page.lines), 2)))


def test_real_pages_give_the_same_texts_without_the_compiled_passes(data_pack, monkeypatch):
    pages = [raw for raw, _ in labelled(data_pack, every=12).values()]
    found = [extract(raw) for raw in pages]
    monkeypatch.setenv("SEEDSTOCK_NATIVE", "0")
    for one, raw in zip(found, pages, strict=True):
        other = extract(raw)
        assert (one.text, one.facts, one.rights) == (other.text, other.facts, other.rights)
        assert one.map.stretches.tolist() == other.map.stretches.tolist()


def test_a_byte_order_mark_is_counted():
    reading = Reading(raw := "\ufeff<p>é one</p>".encode(), decode(raw))
    taken = reading.compose([0])
    assert [raw[low:high] for low, high in reading.map(taken).resolve(0, 8)] == ["é one".encode()]


def test_there_is_room_for_the_known_names():
    """The markup pass keeps a mark for each of at most 256, and their table beside those of a page."""
    assert len(native_tables.known()[1]) < 250


def reference(text: str) -> str:
    """A text that begins with an ampersand, its reference decoded by the compiled pass."""
    library, data = compiled.library(), text.encode()
    library.seedstock_reference.restype = ctypes.c_int64
    pointer = ctypes.c_void_p
    library.seedstock_reference.argtypes = [pointer, ctypes.c_char_p, ctypes.c_int64, pointer, pointer]
    out, made = ctypes.create_string_buffer(8), ctypes.c_int32(0)
    table = native_tables.known()[0]
    taken = library.seedstock_reference(ctypes.byref(table), data, len(data), out, ctypes.byref(made))
    return (out.raw[: made.value] + data[taken:]).decode() if taken else text


def test_every_reference_means_what_the_standard_library_says():
    numbers = [
        *range(0x300),
        *range(0xD700, 0xE100),
        *range(0xFDC0, 0xFE00),
        0xFFFE,
        0x1FFFF,
        0x10FFFF,
        0x110000,
        2**40,
    ]
    texts = [f"&{name}" for name in html5] + [f"&{name[:-1]}x;" for name in html5]
    texts += [f"&#{number};" for number in numbers] + [f"&#x{number:X}z" for number in numbers]
    texts += ["&", "&;", "&#", "&#;", "&#x;", "&x", "&amp", "&" + "a" * 40, "&" + "é" * 33 + ";"]
    for text in texts:
        assert reference(text) == html.unescape(text), text


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(ATTRIBUTES), max_size=30).map("".join))
def test_names_hint_alike(attributes):
    library, data = compiled.library(), attributes.encode()
    library.seedstock_hints.restype = ctypes.c_uint64
    library.seedstock_hints.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int64]
    found = library.seedstock_hints(ctypes.byref(native_tables.known()[0]), data, len(data))
    assert found == features._hints("", markup.named(attributes))


@given(st.from_regex(r"[a-z]{1,12}", fullmatch=True) | st.sampled_from(NAMES).map(str.lower))
def test_the_automaton_finds_what_the_patterns_find(word):
    steps, found = native_tables.automaton(features.WORDS, features.SHIFT)
    state, bits = int(steps[0, native_tables.BEGIN]), 0
    for symbol in [*(ord(char) - ord("a") for char in word if char.isalpha()), native_tables.END]:
        state = int(steps[state, symbol])
        bits |= int(found[state])
    assert bits == features._word_hints("".join(char for char in word if char.isalpha()))


@given(st.binary(max_size=700), st.binary(min_size=1, max_size=3), st.integers(0, 20), st.integers(1, 5))
def test_searches_over_bytes_find_what_those_of_python_find(data, word, begin, most):
    data = data[:300] + word + data[300:] + word
    expected, at = [], data.find(word, begin)
    while at >= 0:
        expected.append(at)
        at = data.find(word, at + len(word))
    assert compiled.places(data, word, begin, most) == expected[:most]
    assert compiled.has_controls(data) == (len(data.translate(None, compiled.CONTROLS)) != len(data))


@given(st.text(max_size=300), st.integers(0, 400))
def test_characters_are_counted(text, stop):
    data = text.encode("utf-8", "surrogatepass")
    assert compiled.characters(data, min(stop, len(data))) == sum(byte & 0xC0 != 0x80 for byte in data[:stop])
