import hashlib
import re

import numpy as np
import pyarrow as pa
from batches import library
from hypothesis import given
from hypothesis import strategies as st

from seedstock.corpus import utf8
from seedstock.corpus.dedup.shingles import LONG, hash_words
from seedstock.corpus.words import pieces, share, split

SPACES = " \t\n\r\v\f\x1c\x1f\x85\xa0\u1680\u2003\u2028\u3000"
texts = st.lists(st.text(st.sampled_from(SPACES + "ab.é語\U0001f600\0"), max_size=40), max_size=6)


def array(values):
    return pa.array(values, pa.large_string())


@given(texts)
def test_words_are_those_of_str_split(values):
    words = split(array(values))
    found = [[] for _ in values]
    for row, word in zip(words.row, words.vocabulary.take(pa.array(words.codes)).to_pylist(), strict=True):
        found[row].append(word)
    assert found == [value.split() for value in values]


@given(texts)
def test_lines_and_paragraphs_are_those_between_line_feeds_and_empty_lines(values):
    words = split(array(values))
    lines = [[line.strip() for line in value.split("\n")] for value in values]
    full = [line for row in lines for line in row if line]
    assert len(words.line_row) == len(full)
    same = words.line_codes[:, None] == words.line_codes[None, :]
    assert same.tolist() == [[a == b for b in full] for a in full]
    paragraphs = [len(re.findall(r"(?:^|\n)(?:[^\n]+)(?:\n[^\n]+)*", "\n".join(row))) for row in lines]
    assert np.bincount(words.line_row[words.opens], minlength=len(values)).tolist() == paragraphs
    assert [words.starts[at + 1] - words.starts[at] for at in range(len(full))] == [len(line.split()) for line in full]


def test_words_of_real_modules():
    values = library(300_000)
    words = split(array(values))
    assert words.count().tolist() == [len(value.split()) for value in values]


@given(st.lists(st.text(max_size=30), max_size=12), st.integers(1, 40))
def test_pieces_are_the_texts_in_order(values, size):
    assert [text for piece in pieces(array(values), size) for text in piece.to_pylist()] == values


@given(st.lists(st.text(max_size=20), max_size=8), st.integers(0, 3))
def test_raw_bytes_follow_a_slice(values, first):
    text = array(values)[first:]
    data, offsets = utf8.raw(text)
    found = [bytes(data[offsets[row] : offsets[row + 1]]).decode() for row in range(len(text))]
    assert found == values[first:]


@given(st.lists(st.text(min_size=1, max_size=12), max_size=8))
def test_a_word_has_the_same_hash_in_every_batch(values):
    together = hash_words(array(values))
    assert together.tolist() == [hash_words(array([value]))[0] for value in values]


def test_different_words_have_different_hashes_whatever_their_length():
    words = sorted({word for text in library(1_000_000) for word in text.split()})
    words += ["x" * LONG, "x" * (LONG + 1), "x" * (LONG + 2), "\0", "\0\0"]
    assert len(set(hash_words(array(words)).tolist())) == len(words)


def test_long_words_hash_by_their_content():
    long = "y" * (LONG + 1)
    expected = int.from_bytes(hashlib.blake2b(long.encode(), digest_size=8).digest(), "little")
    assert hash_words(array(["a", long, "b"]))[1] == expected


def test_a_share_of_nothing_is_zero():
    assert share(np.array([0.0, 1.0]), np.array([0.0, 4.0])).tolist() == [0.0, 0.25]
