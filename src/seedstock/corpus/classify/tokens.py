"""Texts as the words that classifiers and n-gram models count: lower case, without the punctuation around them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seedstock.corpus.words import mix, pieces, split

# Characters of scripts that put no space between words: each is a word of its own.
UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]"
PUNCTUATION = ".,;:!?\"'()[]{}<>`*_“”‘’«»…—–、。，！？"
LONGEST = 64  # bytes of a word that its hash looks at
WORDS = 1 << 17  # of one text that are looked at
HEAD = 8 * WORDS  # characters of one text that are looked at
OFFSET, PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)


@dataclass(frozen=True)
class Tokens:
    """The words of ``rows`` texts.

    hashes uint64 [words]: a well-mixed hash of each word; row int64 [words]: its text;
    codes int64 [words]: its number in ``vocabulary``, the distinct words.
    """

    rows: int
    hashes: np.ndarray
    row: np.ndarray
    codes: np.ndarray
    vocabulary: pa.Array


def tokens(text: pa.Array) -> Iterator[Tokens]:
    """The words of a large_string array, a few texts at a time, in order; of a huge text, its beginning."""
    for piece in pieces(text):
        yield _tokens(piece)


def _tokens(text: pa.Array) -> Tokens:
    long = np.flatnonzero(pc.binary_length(text).to_numpy(zero_copy_only=False) > HEAD)
    if len(long):
        text = pc.utf8_slice_codeunits(text, 0, HEAD)
    if not pc.all(pc.string_is_ascii(text)).as_py():
        text = pc.replace_substring_regex(text, f"({UNSPACED})", r" \1 ")
    words = split(text)
    bare = pc.utf8_trim(pc.utf8_lower(words.vocabulary), PUNCTUATION)
    bare = pc.if_else(pc.equal(pc.binary_length(bare), 0), words.vocabulary, bare).dictionary_encode()
    codes = bare.indices.to_numpy().astype(np.int64)[words.codes]
    row = words.row
    if len(codes) > WORDS:
        place = np.arange(len(codes)) - np.searchsorted(row, np.arange(words.rows))[row]
        codes, row = codes[place < WORDS], row[place < WORDS]
    return Tokens(words.rows, hashed(bare.dictionary)[codes], row, codes, bare.dictionary)


def hashed(vocabulary: pa.Array) -> np.ndarray:
    """A hash of each string: FNV-1a (Fowler, Noll and Vo) over the first bytes and the length, mixed; uint64."""
    offsets = np.frombuffer(vocabulary.buffers()[1], np.int64)[vocabulary.offset :][: len(vocabulary) + 1]
    data = vocabulary.buffers()[2]
    found = np.full(len(vocabulary), OFFSET)
    if data is None or not len(vocabulary):
        return mix(found)
    letters = np.frombuffer(data, np.uint8)
    lengths = np.diff(offsets)
    order = np.argsort(-np.minimum(lengths, LONGEST), kind="stable")
    start, left = offsets[:-1][order], np.minimum(lengths, LONGEST)[order]
    value = found.copy()
    for at in range(int(left[0])):
        count = int(np.searchsorted(-left, -at))  # those that are longer than ``at`` come first
        value[:count] = (value[:count] ^ letters[start[:count] + at]) * PRIME
    found[order] = value
    return mix(found ^ mix(lengths.astype(np.uint64)))


def ngrams(found: Tokens, order: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """(n, places, hashes) of the n-grams inside a text, n from 1 to ``order``: where each begins, its uint64 hash."""
    hashes, places = found.hashes, np.arange(len(found.hashes))
    yield 1, places, hashes
    for n in range(2, order + 1):
        inside = found.row[: max(0, len(found.row) - n + 1)] == found.row[n - 1 :]
        hashes = mix(hashes[:-1] * PRIME + found.hashes[n - 1 :])
        places = np.flatnonzero(inside)
        yield n, places, hashes[places]
