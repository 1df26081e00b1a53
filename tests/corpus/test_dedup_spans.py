"""Lines, paragraphs and substrings that stood earlier: cut out, and one copy always stays."""

from __future__ import annotations

import random
import time

import numpy as np
import pyarrow as pa
import pytest
from batches import library
from dedup_parts import parts
from hypothesis import given, settings
from hypothesis import strategies as st

from seedstock.corpus.dedup import DedupConfig, find_spans, rolling
from seedstock.corpus.dedup.lines import lines
from seedstock.corpus.dedup.spans import SPAN, joined
from seedstock.corpus.dedup.spill import Workspace
from seedstock.corpus.dedup.substring import snapped
from seedstock.progress import Silent


def cut(texts, step, cuts=()):
    """(The texts without what the step cuts out, the spans by row.)"""
    pieces = parts(texts, cuts)
    with Workspace() as folder:
        found = find_spans(DedupConfig(steps=[step]), pieces, Silent(), folder=folder)
        spans = {}
        for number in range(len(pieces)):
            spans |= found.of(number)
    left = []
    for row, text in enumerate(texts):
        data, at, kept = text.encode(), 0, b""
        for start, end, _ in spans.get(row, ()):
            kept, at = kept + data[at:start], end
        left.append((kept + data[at:]).decode())  # fails where a character was cut in two
    return left, spans


@given(st.binary(max_size=300), st.integers(1, 40))
def test_equal_windows_have_equal_hashes_and_others_do_not(data, length):
    array = np.frombuffer(data, np.uint8)
    for which in (0, 1):
        found = rolling.windows(array, length, which).tolist()
        plain = [data[at : at + length] for at in range(len(data) - length + 1)]
        assert len(found) == len(plain)
        assert len(set(zip(plain, found, strict=True))) == len(set(plain)) == len(set(found))


def test_windows_do_not_depend_on_where_chunks_end(monkeypatch):
    data = np.frombuffer(random.Random(1).randbytes(5000), np.uint8)
    whole = rolling.windows(data, 60)
    monkeypatch.setattr(rolling, "CHUNK", 700)
    assert np.array_equal(rolling.windows(data, 60), whole)
    halves = np.concatenate([rolling.windows(data[:3000], 60), rolling.windows(data[2941:], 60)])
    assert np.array_equal(halves, whole)


@pytest.mark.parametrize("guarantee", [40, 41, 100])
def test_what_two_texts_share_of_the_guaranteed_length_has_a_chosen_window_in_both(monkeypatch, guarantee):
    monkeypatch.setattr(rolling, "CHUNK", 333)
    draw = random.Random(guarantee)
    for alphabet in (b"ab", bytes(range(256))):
        for _ in range(20):
            shared = bytes(draw.choices(alphabet, k=guarantee))
            found = []
            for _ in range(2):
                before, after = (bytes(draw.choices(alphabet, k=draw.randrange(400))) for _ in range(2))
                data = np.frombuffer(before + shared + after, np.uint8)
                inside = range(len(before), len(before) + guarantee - guarantee // 2 + 1)
                chosen = rolling.chosen(data, np.array([len(data)]), guarantee // 2, guarantee)
                pairs = [pair for at, hashes in chosen for pair in zip(at.tolist(), hashes.tolist(), strict=True)]
                found.append({number for at, number in pairs if at in inside})
            assert found[0] & found[1]


def brute_force(texts, length):
    """Bytes inside windows that stood earlier, but for those inside windows that a later one repeats."""
    first, repeats, sources = {}, [], set()
    for row, text in enumerate(texts):
        data = text.encode()
        for at in range(len(data) - length + 1):
            window = data[at : at + length]
            if window in first:
                repeats.append((row, at))
                sources.add(first[window])
            else:
                first[window] = (row, at)
    gone = [np.zeros(len(text.encode()), bool) for text in texts]
    for row, at in repeats:
        gone[row][at : at + length] = True
    for row, at in sources:
        gone[row][at : at + length] = False
    return gone


def documents_with_repeats(draw, count=40):
    base = library(300_000)
    pool = [text[at : at + draw.randrange(30, 500)] for text in base for at in range(0, len(text) - 500, 2500)]
    return ["".join(draw.choice(pool) for _ in range(draw.randrange(1, 5))) for _ in range(count)]


@pytest.mark.parametrize("block", [1 << 20, 500])
def test_substrings_are_those_of_brute_force(monkeypatch, block):
    """Before spans are shrunk to whole words, the bytes cut out are exactly those of the definition."""
    from seedstock.corpus.dedup import substring

    monkeypatch.setattr(substring, "snapped", lambda text, start, end, snap: (start, end))
    monkeypatch.setattr(substring, "BLOCK", block)
    monkeypatch.setattr(rolling, "CHUNK", block)
    texts = documents_with_repeats(random.Random(block))
    _, spans = cut(texts, {"kind": "substring", "minimum": 64}, cuts=(3, 17))
    expected = brute_force(texts, 64)
    assert sum(gone.sum() for gone in expected) > 1000
    for row, gone in enumerate(expected):
        found = np.zeros(len(gone), bool)
        for start, end, _ in spans.get(row, ()):
            found[start:end] = True
        # Slivers between two first copies stay: they are shorter than a quarter of the minimum.
        edges = np.flatnonzero(np.diff(gone.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
        for start, end in edges.tolist():
            if end - start < 16:
                gone[start:end] = False
        assert np.array_equal(found, gone), row


def test_every_long_run_stays_somewhere():
    """Every byte that is cut out lies in a window that is still there, whole, in what is left."""
    texts = documents_with_repeats(random.Random(5), 60)
    left, spans = cut(texts, {"kind": "substring", "minimum": 64})
    everything = "\0".join(left).encode()
    assert spans
    for row, listed in spans.items():
        for start, end, kind in listed:
            assert kind == "substring"
            data, covered = texts[row].encode(), np.zeros(end + 64, bool)
            for at in range(max(0, start - 63), min(end, len(data) - 63)):
                covered[at : at + 64] |= data[at : at + 64] in everything
            assert covered[start:end].all()


def test_the_division_into_parts_changes_no_span():
    texts = documents_with_repeats(random.Random(6), 30)
    for step in ({"kind": "substring", "minimum": 64}, {"kind": "lines", "minimum": 20}, {"kind": "paragraphs"}):
        whole = cut(texts, step)

        @settings(max_examples=5, deadline=None)
        @given(st.lists(st.integers(0, 30), max_size=4))
        def check(cuts):
            assert cut(texts, step, tuple(cuts)) == whole  # noqa: B023 - called before the loop goes on

        check()


def test_a_suffix_array_finds_the_same_runs():
    divsufsort = pytest.importorskip("pydivsufsort")
    texts = documents_with_repeats(random.Random(7), 30)
    joined_ = b"".join(text.encode() + bytes([0, number]) for number, text in enumerate(texts))
    data = np.frombuffer(joined_, np.uint8).copy()
    array = divsufsort.divsufsort(data)
    common = divsufsort.kasai(data, array)
    repeated = np.zeros(len(data), bool)
    for at in np.flatnonzero(np.asarray(common) >= 64):
        for place in (array[at], array[at + 1]):
            repeated[place : place + 64] = True
    gone = np.concatenate([[*part, False, False] for part in brute_force(texts, 64)])
    assert gone.sum() > 1000 and not (gone & ~repeated).any()


def test_pathological_repetition_ends_soon_and_leaves_one_copy():
    start = time.monotonic()
    texts = ["a" * 3_000_000, "ab" * 500_000, "a" * 1000, "x" * 10]
    left, _ = cut(texts, {"kind": "substring", "minimum": 200})
    assert [len(text) for text in left] == [200, 201, 0, 10]
    assert time.monotonic() - start < 30


def test_spans_are_shrunk_to_words_lines_and_characters():
    text = b"one two three\nfour five six\nseven"
    assert text[slice(*snapped(text, 2, 22, "word"))] == b"two three\nfour "
    assert text[slice(*snapped(text, 4, 23, "word"))] == b"two three\nfour five"
    assert text[slice(*snapped(text, 2, 30, "line"))] == b"four five six\n"
    assert text[slice(*snapped(text, 0, len(text), "line"))] == text
    assert snapped(text, 2, 10, "line")[0] >= snapped(text, 2, 10, "line")[1]
    kanji = ("漢字" * 60).encode()
    start, end = snapped(kanji, 100, 301, "word")
    assert (start, end) == (102, 300) and kanji[start:end].decode()


def test_lines_that_an_earlier_document_has_are_cut_out():
    boiler = "All rights reserved; see the licence for the details of use.\n"
    texts = [
        f"first\n{boiler}own line of the first document, long enough\n{boiler}",
        f"second\n  {boiler.upper()}own line of the second document, long enough",
        f"{boiler}short\nshort\n",
        "short\n",
    ]
    left, spans = cut(texts, {"kind": "lines"})
    assert left == [texts[0], "second\nown line of the second document, long enough", "short\nshort\n", "short\n"]
    assert {row: [kind for *_, kind in listed] for row, listed in spans.items()} == {1: ["lines"], 2: ["lines"]}
    assert cut(texts, {"kind": "lines", "documents": 4})[1] == {}
    assert cut(texts, {"kind": "lines", "minimum": 5})[0][3] == ""


def test_paragraphs_are_runs_of_lines_between_empty_ones():
    shared = "the first line of a paragraph that both documents have\nand its second line, which ends it\n"
    texts = [f"{shared}\nelse\n", f"before\n\n{shared} \n\nafter the paragraph", shared.replace("second", "other")]
    left, _ = cut(texts, {"kind": "paragraphs", "minimum": 60})
    assert left == [texts[0], "before\n\n \n\nafter the paragraph", texts[2]]


def test_lines_are_found_with_their_places():
    texts = ["", "a\n\n  b c \n", "é\r\nd", "\n"]
    found = lines(pa.array(texts, pa.large_string()))
    taken = [(row, texts[row].encode()[start:end]) for row, start, end in found[["row", "start", "end"]].tolist()]
    assert taken == [(1, b"a\n"), (1, b"\n"), (1, b"  b c \n"), (2, "é\r\n".encode()), (2, b"d"), (3, b"\n")]
    assert (found["high"] == 0).tolist() == [False, True, False, False, False, True]


def test_a_hundred_thousand_documents_with_one_line_are_no_trouble():
    line = "the very same line in each of a hundred thousand documents"
    texts = [f"{line}\nand line number {n} of its own" for n in range(100_000)]
    start = time.monotonic()
    left, _ = cut(texts, {"kind": "lines"}, cuts=(40_000,))
    assert left[0] == texts[0] and all(text == f"and line number {n + 1} of its own" for n, text in enumerate(left[1:]))
    assert time.monotonic() - start < 30


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30), st.integers(1, 9)), max_size=20))
def test_joined_spans_cover_the_same_and_lie_apart(given_):
    spans = np.array([(row, start, start + size) for row, start, size in given_], SPAN)
    found = joined(spans)

    def cover(listed):
        return {(row, at) for row, start, end in listed.tolist() for at in range(start, end)}

    assert cover(found) == cover(spans)
    for (row, _, end), (after, start, _) in zip(found.tolist(), found.tolist()[1:], strict=False):
        assert (row, end) < (after, start)
