"""Scores texts with a fastText model, in batches, and with fastText's own results.

The mean of a text's feature vectors is multiplied by the output matrix; where there are fewer outputs than dimensions,
the product is taken beforehand, for every feature, which leaves a few numbers to add up for each word.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seedstock.corpus.classify import fasttext_file as form
from seedstock.corpus.classify.linear import sigmoid
from seedstock.corpus.classify.tokens import hashed
from seedstock.corpus.words import pieces

END = b"</s>"
OFFSET, PRIME = np.uint32(2166136261), np.uint32(16777619)
NGRAM = np.uint64(116049371)
PIECE = 1 << 16


class FastText:
    """A model in memory; ``labels`` without their prefix."""

    def __init__(self, path: Path) -> None:
        file = form.read(path)
        self.file = file
        self.labels = [label.removeprefix("__label__") for label in file.labels]
        self.projected = len(file.output) < file.input.shape[1]
        self.table = file.input @ file.output.T if self.projected else file.input
        keys = hashed(pa.array(file.words, pa.large_binary()))
        self.order = np.argsort(keys)
        self.keys = keys[self.order]

    def probabilities(self, text: pa.Array) -> np.ndarray:
        """The probability of each label of each text of a large_string array, float64 [texts, labels]."""
        parts = [self._probabilities(piece) for piece in pieces(text, PIECE)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.labels)))

    def _probabilities(self, text: pa.Array) -> np.ndarray:
        split = pc.ascii_split_whitespace(pc.replace_substring(text, "\0", " "))
        row = pc.list_parent_indices(split).to_numpy().astype(np.int64)
        encoded = pc.filter(split.flatten(), pc.greater(pc.binary_length(split.flatten()), 0))
        row = row[pc.greater(pc.binary_length(split.flatten()), 0).to_numpy(zero_copy_only=False)]
        words = encoded.cast(pa.large_binary()).dictionary_encode()
        vocabulary = pa.concat_arrays([words.dictionary, pa.array([END], pa.large_binary())])
        # Each text ends in a line's end, or where it says so itself.
        rows = len(text)
        codes = np.concatenate([words.indices.to_numpy().astype(np.int64), np.full(rows, len(vocabulary) - 1)])
        row = np.concatenate([row, np.arange(rows)])
        order = np.argsort(row, kind="stable")
        codes, row = codes[order], row[order]
        ends = (vocabulary.to_numpy(zero_copy_only=False) == END)[codes].astype(np.int64)
        before = np.cumsum(ends) - ends
        first = before == before[np.searchsorted(row, np.arange(rows))][row]
        codes, row = codes[first], row[first]
        labels = pc.starts_with(vocabulary, "__label__").to_numpy(zero_copy_only=False)
        codes, row = codes[~labels[codes]], row[~labels[codes]]
        total, count = self._words(vocabulary, codes, row, rows)
        for features, owner in self._ngrams(vocabulary, codes, row):
            total += _sums(self.table[features], owner, rows)
            count += np.bincount(owner, minlength=rows)
        mean = total / np.maximum(count, 1)[:, None]
        return self._output(mean if self.projected else mean @ self.file.output.T.astype(np.float64))

    def _words(self, vocabulary: pa.Array, codes: np.ndarray, row: np.ndarray, rows: int) -> tuple:
        """The sum of the vectors of words and their subwords, and how many they are, by text."""
        known = self._find(vocabulary)
        vectors = np.zeros((len(vocabulary), self.table.shape[1]))
        counts = np.zeros(len(vocabulary))
        vectors[known >= 0] = self.table[known[known >= 0]]
        counts[known >= 0] = 1
        if self.file.longest > 0:
            for features, owner in self._subwords(vocabulary):
                vectors += _sums(self.table[features], owner, len(vocabulary))
                counts += np.bincount(owner, minlength=len(vocabulary))
        return _sums(vectors[codes], row, rows), np.bincount(row, counts[codes], rows)

    def _find(self, vocabulary: pa.Array) -> np.ndarray:
        """The number of each word in the model's dictionary, -1 where it is not in it."""
        wanted = hashed(vocabulary)
        if not len(self.keys):
            return np.full(len(wanted), -1)
        at = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where(self.keys[at] == wanted, self.order[at], -1)

    def _rows(self, bucket: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(rows of the table, which buckets have one)."""
        if self.file.pruned is None:
            return bucket + len(self.file.words), np.ones(len(bucket), bool)
        left = self.file.pruned[bucket]
        return left[left >= 0] + len(self.file.words), left >= 0

    def _ngrams(self, vocabulary: pa.Array, codes: np.ndarray, row: np.ndarray) -> Iterator[tuple]:
        if self.file.ngrams < 2 or self.file.buckets < 1:
            return
        # A hash of 32 bits becomes one of 64 with its sign.
        single = _hashes(vocabulary).view(np.int32).astype(np.int64).view(np.uint64)[codes]
        value = single
        for n in range(2, self.file.ngrams + 1):
            value = value[:-1] * NGRAM + single[n - 1 :]
            owner = row[: max(0, len(row) - n + 1)]
            inside = owner == row[n - 1 :]
            bucket = (value[inside] % np.uint64(self.file.buckets)).astype(np.int64)
            features, left = self._rows(bucket)
            yield features, owner[inside][left]

    def _subwords(self, vocabulary: pa.Array) -> Iterator[tuple]:
        """(rows, word) of the character n-grams of ``<word>``, one length at a time."""
        words = [END if word == END else b"<" + word + b">" for word in vocabulary.to_pylist()]
        lengths = np.array([0 if word == END else len(word) for word in words])
        data = np.frombuffer(b"".join(word for word in words if word != END), np.uint8)
        first = np.flatnonzero((data & 0xC0) != 0x80)  # where characters begin
        owner = np.repeat(np.arange(len(words)), lengths)[first]
        ends = np.cumsum(lengths)
        after = np.append(first[1:], len(data))
        value = np.full(len(first), OFFSET)
        signed = data.view(np.int8).astype(np.int32).view(np.uint32)
        start = np.arange(len(first))
        for n in range(1, self.file.longest + 1):
            inside = start + n - 1 < len(first)
            start, value = start[inside], value[inside]
            inside = owner[start + n - 1] == owner[start]
            start, value = start[inside], value[inside].copy()
            if not len(start):
                return
            character = start + n - 1
            for ahead in range(4):
                place = first[character] + ahead
                there = place < after[character]
                value[there] = (value[there] ^ signed[place[there]]) * PRIME
            if n < self.file.shortest:
                continue
            chosen = np.ones(len(start), bool)
            if n == 1:  # the brackets alone are no n-grams
                whole = owner[start]
                chosen = (first[start] != ends[whole] - lengths[whole]) & (after[start] != ends[whole])
            features, left = self._rows((value[chosen] % np.uint32(max(1, self.file.buckets))).astype(np.int64))
            yield features, owner[start][chosen][left]

    def _output(self, logits: np.ndarray) -> np.ndarray:
        if self.file.loss == form.SOFTMAX:
            value = np.exp(logits - logits.max(axis=1, keepdims=True))
            return value / value.sum(axis=1, keepdims=True)
        if self.file.loss != form.HIERARCHICAL:
            # fastText looks its sigmoid up in a table: steps of 1/32 from -8 to 8.
            steps = np.floor((np.clip(logits, -8, 8) + 8) * 32) / 32 - 8
            return np.where(logits < -8, 0.0, np.where(logits > 8, 1.0, sigmoid(steps)))
        count = len(self.labels)
        left, right = _tree(self.file.counts)
        found = np.ones((len(logits), 2 * count - 1))
        for node in range(2 * count - 2, count - 1, -1):
            to_right = sigmoid(logits[:, node - count])
            found[:, left[node]] = found[:, node] * (1 - to_right)
            found[:, right[node]] = found[:, node] * to_right
        return found[:, :count]


def _tree(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The children of each node of the Huffman tree, as fastText builds it; the leaves are the labels."""
    size = len(counts)
    weight = np.full(2 * size - 1, 10**15, np.int64)
    weight[:size] = counts
    children = np.zeros((2 * size - 1, 2), np.int64)
    leaf, node = size - 1, size
    for parent in range(size, 2 * size - 1):
        for side in (0, 1):
            if leaf >= 0 and weight[leaf] < weight[node]:
                children[parent, side], leaf = leaf, leaf - 1
            else:
                children[parent, side], node = node, node + 1
        weight[parent] = weight[children[parent]].sum()
    return children[:, 0], children[:, 1]


def _hashes(vocabulary: pa.Array) -> np.ndarray:
    """fastText's hash of whole words: FNV-1a with each byte's sign extended, uint32."""
    offsets = np.frombuffer(vocabulary.buffers()[1], np.int64)[vocabulary.offset :][: len(vocabulary) + 1]
    letters = np.frombuffer(vocabulary.buffers()[2], np.uint8).view(np.int8).astype(np.int32).view(np.uint32)
    lengths = np.diff(offsets)
    order = np.argsort(-lengths, kind="stable")
    start, left = offsets[:-1][order], lengths[order]
    value = np.full(len(order), OFFSET)
    for at in range(int(left[0])):
        count = int(np.searchsorted(-left, -at))
        value[:count] = (value[:count] ^ letters[start[:count] + at]) * PRIME
    found = np.empty_like(value)
    found[order] = value
    return found


def _sums(vectors: np.ndarray, owner: np.ndarray, rows: int) -> np.ndarray:
    """The sum of the vectors of each owner, float64 [rows, columns]."""
    return np.stack([np.bincount(owner, vectors[:, at], rows) for at in range(vectors.shape[1])], axis=1)
