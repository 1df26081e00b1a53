"""The compiled kernels give the numbers of the numpy ones, on any text."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from batches import library
from hypothesis import given
from hypothesis import strategies as st

from seedstock import native
from seedstock.corpus import letters
from seedstock.corpus.dedup import minhash, shingles
from seedstock.corpus.signals import gopher_kernel

compiled = pytest.mark.skipif(native.kernels() is None, reason="the native kernels were not compiled")

MASK, STEP = (1 << 64) - 1, 0xD1342543DE82EF95
SPACES = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000"
SIGNS = "#.…-*+•‣◦▪▫●○■□▶◀_'\u200b\u180e\ufeff\x00\x1b\x86\u2001\u202e\u2060\u3001"
words = st.sampled_from(["the", "The.", "(of)", "be", "a", "bb", "é", "字", "...", "....", "x…", "-", "•c", "𝒳", "9"])
texts = st.lists(
    st.one_of(
        st.text(max_size=80),
        st.lists(st.sampled_from([*SPACES, *SIGNS, "a", "Ⅷ", "ß", "ก", "𐐀", "\U0010ffff"]), max_size=80).map("".join),
        st.lists(st.one_of(words, st.sampled_from([" ", "\n", "\n\n"])), max_size=80).map(" ".join),
        st.lists(words, max_size=40).map("".join),
    ),
    max_size=5,
)


def both(monkeypatch, function):
    """What a function gives with the native kernels, and without."""
    found = []
    for switch in ("1", "0"):
        monkeypatch.setenv(native.OFF, switch)
        found.append(function())
    return found


def same_counts(monkeypatch, array):
    one, other = both(monkeypatch, lambda: gopher_kernel.counts(array))
    for name in gopher_kernel.COUNTS:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def same_minima(monkeypatch, array, size=5, count=112):
    for function in (lambda: minhash.signatures(array, size, count, 7), lambda: shingles.shingles(array, size)):
        for one, other in zip(*both(monkeypatch, function), strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype


@compiled
@given(texts, st.data())
def test_any_texts_have_the_numbers_of_numpy(listed, data):
    with pytest.MonkeyPatch.context() as patch:
        array = pa.array(listed, pa.large_string())
        start = data.draw(st.integers(0, len(listed)))
        for part in (array, array.slice(start)):
            same_counts(patch, part)
            same_minima(patch, part, data.draw(st.integers(1, 6)), data.draw(st.sampled_from([16, 21, 112])))


@compiled
def test_real_texts_have_the_numbers_of_numpy(monkeypatch):
    array = pa.array(library(2_000_000), pa.large_string())
    same_counts(monkeypatch, array)
    same_minima(monkeypatch, array)


@compiled
def test_real_pages_of_many_languages_have_the_numbers_of_numpy(monkeypatch, data_pack):
    import zstandard

    for name in ("text/books", "multilingual/udhr"):
        data = zstandard.decompress((data_pack / f"{name}.jsonl.zst").read_bytes(), max_output_size=1 << 28)
        array = pa.array([json.loads(line)["text"] for line in data.splitlines()[:200]], pa.large_string())
        same_counts(monkeypatch, array)
        same_minima(monkeypatch, array)


def plain_minima(text, size, count, seed):
    """MinHash in plain Python: Broder's minima over (a * x + b) mod 2^32 of the low halves of shingle hashes."""

    def mix(value):
        value = (value + 0x9E3779B97F4A7C15) & MASK
        value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & MASK
        value = (value ^ value >> 27) * 0x94D049BB133111EB & MASK
        return value ^ value >> 31

    def word(data):
        return mix(sum((byte + 1) * pow(STEP, at, MASK + 1) for at, byte in enumerate(data)) & MASK ^ len(data) << 48)

    hashes = [word(one.encode()) for one in text.split()]
    lows = set()
    for at in range(len(hashes) - size + 1):
        rolled = 0
        for one in hashes[at : at + size]:
            rolled = (rolled * STEP + one) & MASK
        lows.add(mix(rolled) & 0xFFFFFFFF)
    drawn = [mix((mix(seed) + number) & MASK) >> 32 for number in range(2 * count)]
    return [min((low * (a | 1) + b) & 0xFFFFFFFF for low in lows) for a, b in zip(drawn, drawn[count:], strict=False)]


@pytest.mark.parametrize("switch", ["1", "0"])
def test_real_texts_have_the_minima_of_plain_python(monkeypatch, switch):
    monkeypatch.setenv(native.OFF, switch)
    listed = [text[:6000] for text in library(120_000)] + ["naïve 字 words — of\u2003more\x85than\x1cASCII " * 3]
    rows, found = minhash.signatures(pa.array(listed, pa.large_string()), 5, 16, 11)
    wanted = [row for row, text in enumerate(listed) if len(text.split()) >= 5]
    assert rows.tolist() == wanted and len(wanted) > 5
    assert found.tolist() == [plain_minima(listed[row], 5, 16, 11) for row in wanted]


@compiled
def test_huge_words_lines_and_texts_have_the_numbers_of_numpy(monkeypatch):
    listed = ["x" * 5000, "word " * 5000, "y" * 4096 + " a" * 9, "a\n" * 20_000, " ".join(map(str, range(40_000))), ""]
    array = pa.array(listed, pa.large_string())
    same_counts(monkeypatch, array)
    same_minima(monkeypatch, array)


@compiled
def test_numbers_do_not_depend_on_what_stands_beside_a_text(monkeypatch):
    listed = library(300_000)
    together = gopher_kernel.counts(pa.array(listed * 3, pa.large_string()))
    alone = [gopher_kernel.counts(pa.array([text], pa.large_string())) for text in listed]
    for name in gopher_kernel.COUNTS:
        assert together[name].tolist() == [int(one[name][0]) for one in alone] * 3


@compiled
def test_what_is_not_an_array_of_texts_is_refused():
    kernels = native.kernels()
    data, out, bits = np.zeros(8, np.uint8), np.zeros((1, 24), np.int64), letters.bits()
    for offsets in ([0, 9], [-1, 3], [3, 2], [0]):
        with pytest.raises(ValueError):
            kernels.gopher(data, np.array(offsets, np.int64), 1, bits, 10, out)
    with pytest.raises(ValueError):
        kernels.gopher(data, np.array([0, 8], np.int64), 1, bits, 10, out[:, :5].copy())
    with pytest.raises(ValueError):
        kernels.shingles(data, np.array([0, 8], np.int64), 1, 0, out, out)


def test_letters_hold_for_all_that_this_arrow_calls_letters():
    codes = [code for code in range(letters.CODES) if not 0xD800 <= code < 0xE000]
    characters = pa.array([chr(code) for code in codes], pa.large_string())
    arrow = pc.match_substring_regex(characters, r"\p{L}").to_numpy(zero_copy_only=False)
    ours = letters.flags()[codes]
    # A character keeps its category; a later Unicode has more of them.
    assert abs(int(arrow.sum()) - int(ours.sum())) in (0, int((arrow != ours).sum()))
    assert ours.sum() > 136_000
