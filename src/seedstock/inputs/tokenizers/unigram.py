"""Learning a Unigram vocabulary from distinct words and how often each occurs (Kudo 2018, arXiv 1804.10959).

Seeds are the frequent substrings of words; expectation-maximization gives each a probability; those whose loss the
likelihood feels least go, a part at a time, until the vocabulary has its size. All words are worked on at once: an edge
is a token at a place of a word, and step t of the forward pass takes the edges that end t bytes into their word.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from seedstock.inputs.tokenizers.counts.weigh import Words

LONGEST = 16  # bytes of a token
WORDS = 200_000  # the most frequent words are learnt from
WORD = 32  # bytes: longer words give little, and cost a step of the passes for each byte
SEEDS = 10  # times the vocabulary
KEPT = 0.75  # of the tokens at each pruning
ROUNDS = 2  # of expectation-maximization before each pruning
FACTOR = np.uint64(0x9E3779B97F4A7C15)


@dataclass
class _Text:
    """Words one after another: bytes, which word each place is of, and where it lies in it."""

    data: np.ndarray
    begin: np.ndarray  # of the word of each place
    end: np.ndarray
    weight: np.ndarray  # how often each word occurs, for each place of it
    words: list[bytes]

    @classmethod
    def of(cls, words: list[bytes], counts: np.ndarray) -> _Text:
        lengths = np.array([len(word) for word in words], np.int64)
        ends = np.cumsum(lengths)
        return cls(
            np.frombuffer(b"".join(words), np.uint8),
            np.repeat(ends - lengths, lengths),
            np.repeat(ends, lengths),
            np.repeat(np.asarray(counts, np.float64), lengths),
            words,
        )

    def substrings(self) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """(length, places, key of the bytes there) for every length: the key is a hash of 64 bits, and the length."""
        places = np.arange(len(self.data))
        key = np.zeros(len(self.data), np.uint64)
        inside = (self.data & 0xC0) == 0x80  # of a character
        for length in range(1, LONGEST + 1):
            alive = places + length <= self.end[places]
            places, key = places[alive], key[alive]
            key = (key ^ (self.data[places + length - 1].astype(np.uint64) + np.uint64(1))) * FACTOR
            key ^= key >> np.uint64(29)
            after = np.minimum(places + length, len(self.data) - 1)
            whole = ~inside[places] & ((places + length == self.end[places]) | ~inside[after])
            chosen = whole if length > 1 else np.ones(len(places), bool)
            yield length, places[chosen], key[chosen]


@dataclass
class _Edges:
    """Tokens at places: ordered by how far into their word they end."""

    start: np.ndarray
    end: np.ndarray
    token: np.ndarray
    steps: np.ndarray  # where the edges of each step begin


def learn(words: Words, size: int) -> list[tuple[bytes, float]]:
    """``size`` tokens with their log probabilities, the likeliest first; the 256 bytes are among them.

    Fewer where the words do not have so many different substrings.
    """
    text = _frequent(words)
    tokens = _seeds(text, max(size * SEEDS, 10_000))
    score = _normal(np.array([count for _, count in tokens], np.float64))
    names = [name for name, _ in tokens]
    while True:
        edges = _edges(text, names)
        for _ in range(ROUNDS):
            expected = _expected(text, edges, score)
            score = _normal(expected)
        if len(names) <= size:
            break
        keep = _worth(names, score, expected, max(size, int(len(names) * KEPT)))
        names, score = [names[place] for place in keep], score[keep]
    order = sorted(range(len(names)), key=lambda place: (-round(float(score[place]), 6), names[place]))
    return [(names[place], round(float(score[place]), 6)) for place in order]


def _frequent(words: Words) -> _Text:
    pairs = [(word, count) for word, count in words if len(word) <= WORD]
    pairs.sort(key=lambda pair: (-pair[1], pair[0]))
    pairs = sorted(pairs[:WORDS])
    return _Text.of([word for word, _ in pairs], np.array([count for _, count in pairs]))


def _seeds(text: _Text, most: int) -> list[tuple[bytes, float]]:
    """Every byte, and the substrings of whole characters that cover most of the text."""
    found: list[tuple[float, bytes, float]] = []
    held = text.data.tobytes()
    for length, places, key in text.substrings():
        if length == 1 or not len(places):
            continue
        distinct, first, back = np.unique(key, return_index=True, return_inverse=True)
        counts = np.bincount(back, text.weight[places], len(distinct))
        worth = np.flatnonzero(counts >= 2)
        worth = worth[np.argsort(-counts[worth], kind="stable")[:most]]
        at = places[first[worth]]
        for place, count in zip(at.tolist(), counts[worth].tolist(), strict=True):
            found.append((-count * length, held[place : place + length], count))
    found.sort()
    bytes_ = np.bincount(text.data, text.weight, 256) + 1
    single = [(bytes([byte]), float(bytes_[byte])) for byte in range(256)]
    return single + [(name, count) for _, name, count in found[: max(0, most - 256)]]


def _edges(text: _Text, names: list[bytes]) -> _Edges:
    vocabulary = _Text.of(names, np.zeros(len(names)))
    whole = np.cumsum([len(name) for name in names]) - [len(name) for name in names]
    number = np.full(len(vocabulary.data) + 1, -1)
    number[whole] = np.arange(len(names))
    length_of = np.array([len(name) for name in names])
    starts, ends, tokens = [], [], []
    for (length, places, key), (_, at, known) in zip(text.substrings(), vocabulary.substrings(), strict=True):
        own = (number[at] >= 0) & (length_of[number[at]] == length)
        known, which = known[own], number[at][own]
        if not len(known) or not len(places):
            continue
        order = np.argsort(known)
        spot = np.minimum(np.searchsorted(known[order], key), len(known) - 1)
        hit = known[order][spot] == key
        starts.append(places[hit])
        ends.append(places[hit] + length)
        tokens.append(which[order][spot[hit]])
    start, end, token = (np.concatenate(parts) for parts in (starts, ends, tokens))
    step = end - text.begin[start]
    order = np.lexsort((start, end, step))
    return _Edges(
        start[order], end[order], token[order], np.searchsorted(step[order], np.arange(1, int(step.max()) + 2))
    )


def _expected(text: _Text, edges: _Edges, score: np.ndarray) -> np.ndarray:
    """How often each token is expected, over all ways of cutting the words."""
    size = len(text.data) + 1
    word_end = text.end[edges.start]
    forward, backward = np.full(size, -np.inf), np.full(size, -np.inf)
    value = score[edges.token]
    # A place that ends one word begins the next: forward values of beginnings are 0, kept apart from those of ends.
    first = text.begin[edges.start] == edges.start
    for low, high in itertools.pairwise(edges.steps):
        if low < high:
            part = slice(low, high)
            at = np.where(first[part], 0.0, forward[edges.start[part]]) + value[part]
            _log_sum(forward, edges.end[part], at)
    last = word_end == edges.end
    order = np.lexsort((edges.end, edges.start, word_end - edges.start))
    left = (word_end - edges.start)[order]
    bounds = np.searchsorted(left, np.arange(1, int(left.max()) + 2))
    for low, high in itertools.pairwise(bounds):
        if low < high:
            own = order[low:high]
            at = np.where(last[own], 0.0, backward[edges.end[own]]) + value[own]
            _log_sum(backward, edges.start[own], at)
    total = forward[word_end]
    inside = np.where(first, 0.0, forward[edges.start]) + value + np.where(last, 0.0, backward[edges.end])
    share = np.exp(np.minimum(0.0, inside - total)) * text.weight[edges.start]
    return np.bincount(edges.token, share, len(score))


def _log_sum(into: np.ndarray, at: np.ndarray, values: np.ndarray) -> None:
    """into[at] = log of the sum of exp(values) of each run of equal ``at``."""
    begins = np.flatnonzero(np.r_[True, at[1:] != at[:-1]])
    most = np.maximum.reduceat(values, begins)
    runs = np.diff(np.r_[begins, len(at)])
    into[at[begins]] = most + np.log(np.add.reduceat(np.exp(values - np.repeat(most, runs)), begins))


def _normal(counts: np.ndarray) -> np.ndarray:
    """Log probabilities; what is never expected keeps a small part of one occurrence, so that bytes stay possible."""
    counts = np.maximum(counts, 1e-2)
    return np.log(counts / counts.sum())


def _worth(names: list[bytes], score: np.ndarray, expected: np.ndarray, size: int) -> np.ndarray:
    """The places of the ``size`` tokens that the likelihood would miss most; bytes always stay.

    What is lost without a token is its expected count times what its best other cutting costs more.
    """
    text = _Text.of(names, np.ones(len(names)))
    edges = _edges(text, names)
    best = np.full(len(text.data) + 1, -np.inf)
    first = text.begin[edges.start] == edges.start
    itself = first & (edges.end == text.end[edges.start])
    value = np.where(itself, -np.inf, score[edges.token])
    for low, high in itertools.pairwise(edges.steps):
        if low < high:
            part = slice(low, high)
            at = np.where(first[part], 0.0, best[edges.start[part]]) + value[part]
            begins = np.flatnonzero(np.r_[True, edges.end[part][1:] != edges.end[part][:-1]])
            best[edges.end[part][begins]] = np.maximum.reduceat(at, begins)
    lengths = np.array([len(name) for name in names])
    loss = np.full(len(names), np.inf)
    longer = lengths > 1
    loss[longer] = (expected * score)[longer] - (expected[longer] * best[np.cumsum(lengths)[longer]])
    return np.sort(np.argsort(-loss, kind="stable")[:size])
