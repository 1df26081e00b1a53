"""Counting the words of texts, in C where it was built; the same table either way."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from seedstock.inputs.tokenizers import native
from seedstock.inputs.tokenizers.classes import classes
from seedstock.inputs.tokenizers.pieces import PATTERN, pieces

LONGEST = 512  # bytes: longer words are cut, between characters, so that no text makes a word of any size


class Counter(Protocol):
    """Counts words; ``memory`` is about how many bytes that takes so far."""

    @property
    def memory(self) -> int: ...

    def add(self, texts: Any) -> None:
        """Counts the words of an Arrow array of strings."""

    def drain(self) -> Any:
        """An Arrow table of ``word`` (large_binary, ascending) and ``count`` (int64); counting begins anew."""


def counter() -> Counter:
    """The fastest one that this machine has."""
    library = native.library()
    return _Plain() if library is None else _Native(library)


class _Native:
    def __init__(self, library: Any) -> None:
        self._library = library
        self._classes = classes()
        self._words = library.words_new(self._classes, LONGEST, 0)
        if not self._words:
            raise MemoryError

    def __del__(self) -> None:
        self._library.words_free(self._words)

    @property
    def memory(self) -> int:
        return self._library.words_memory(self._words)

    def add(self, texts: Any) -> None:
        data, offsets = native.buffers(texts)
        if self._library.words_add(self._words, data, offsets, len(offsets) - 1):
            raise MemoryError

    def drain(self) -> Any:
        size = self._library.words_count(self._words)
        data = np.empty(max(1, self._library.words_bytes(self._words)), np.uint8)
        offsets, counts = np.empty(size + 1, np.int64), np.empty(max(1, size), np.int64)
        if self._library.words_sorted(self._words, data, offsets, counts):
            raise MemoryError
        self._library.words_clear(self._words)
        return _table(data, offsets, counts[:size])


class _Plain:
    """Distinct pieces of texts first, by the standard library; each is then cut into words by the ecosystem's once."""

    def __init__(self) -> None:
        from tokenizers import Regex, pre_tokenizers

        self._split = pre_tokenizers.Split(Regex(PATTERN), "isolated")
        self._pieces: Counts[str] = Counts()
        self.memory = 0

    def add(self, texts: Any) -> None:
        for text in texts.to_pylist():
            before = len(self._pieces)
            self._pieces.update(pieces(text))
            self.memory += 120 * (len(self._pieces) - before)

    def drain(self) -> Any:
        counts: Counts[bytes] = Counts()
        for piece, count in self._pieces.items():
            for word, _ in self._split.pre_tokenize_str(piece):
                for part in _cut(word.encode()):
                    counts[part] += count
        self._pieces, self.memory = Counts(), 0
        words = sorted(counts)
        offsets = np.cumsum([0, *map(len, words)], dtype=np.int64)
        return _table(
            np.frombuffer(b"".join(words) or b"\0", np.uint8),
            offsets,
            np.fromiter((counts[word] for word in words), np.int64, len(words)),
        )


def _cut(word: bytes) -> Iterator[bytes]:
    """Parts of a word of at most LONGEST bytes, whole characters each."""
    while len(word) > LONGEST:
        at = LONGEST
        while word[at] & 0xC0 == 0x80:
            at -= 1
        yield word[:at]
        word = word[at:]
    yield word


def _table(data: np.ndarray, offsets: np.ndarray, counts: np.ndarray) -> Any:
    import pyarrow as pa

    words = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(counts), [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    )
    return pa.table({"word": words, "count": pa.array(counts)})
