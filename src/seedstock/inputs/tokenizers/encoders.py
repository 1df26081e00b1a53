"""Who turns texts into ids: the library itself, or something faster that gives the same ids.

Every encoder works on the neutral copy (``neutral.py``), in which no text is a special. They differ in speed alone: at
the start of a stage ``check.choose`` compares them with the library on real texts.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from seedstock.inputs.tokenizers import native
from seedstock.inputs.tokenizers.classes import classes
from seedstock.inputs.tokenizers.neutral import neutral
from seedstock.inputs.tokenizers.pieces import pieces
from seedstock.inputs.tokenizers.specials import byte_alphabet

REMEMBERED = 1 << 20  # distinct pieces whose tokens are kept, eight tokens each at most


class Encoder(Protocol):
    """Texts to ids; ``name`` says who it is, with its version."""

    name: str

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The ids of each text, uint32 ``[tokens]``."""


class Library:
    """Hugging Face's ``tokenizers``: the reference."""

    def __init__(self, record: dict[str, Any]) -> None:
        import tokenizers

        self.name = f"tokenizers {tokenizers.__version__}"
        self.backend = tokenizers.Tokenizer.from_str(json.dumps(neutral(record)))
        self.backend.encode_special_tokens = True

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        found = self.backend.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(encoding.ids, np.uint32) for encoding in found]


class Pieces:
    """The library, asked once about each distinct piece: for tokenizers whose words are those of ``pieces.PATTERN``."""

    def __init__(self, library: Library) -> None:
        self.name, self.library = f"pieces, {library.name}", library
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._known: dict[str, int] = {}
        self._tokens = np.zeros(0, np.uint32)
        self._ends = np.zeros(1, np.int64)

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The ids of each text; threads take turns, since what is new is learnt."""
        with self._lock:
            return self._encode(texts)

    def _encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        if len(self._known) > REMEMBERED or len(self._tokens) > 8 * REMEMBERED:
            self._forget()
        cut = [pieces(text) for text in texts]
        known, count = self._known, len(self._known)
        fresh = list({piece: None for text in cut for piece in text if piece not in known})
        if fresh:
            found = [e.ids for e in self.library.backend.encode_batch_fast(fresh, add_special_tokens=False)]
            self._tokens = np.concatenate([self._tokens, np.fromiter(itertools.chain.from_iterable(found), np.uint32)])
            self._ends = np.concatenate([self._ends, self._ends[-1] + np.cumsum([len(ids) for ids in found])])
            known.update(zip(fresh, range(count, count + len(fresh)), strict=True))
        return [self._joined(np.fromiter(map(known.__getitem__, text), np.int64, len(text))) for text in cut]

    def _joined(self, numbers: np.ndarray) -> np.ndarray:
        """The tokens of remembered pieces, one after another."""
        begins = self._ends[numbers]
        lengths = self._ends[numbers + 1] - begins
        ends = np.cumsum(lengths)
        if not len(numbers):
            return self._tokens[:0].copy()
        return self._tokens[np.arange(ends[-1]) + np.repeat(begins - (ends - lengths), lengths)]


class Native:
    """Words are found, remembered and put together in C; the library is asked once about each that is new.

    Short words of byte-level BPE are merged here too, by the file's own ranks.
    """

    def __init__(self, record: dict[str, Any], library: Library, limit: int) -> None:
        self.name, self.library = f"native, {library.name}", library
        self._native: Any = native.library()
        if self._native is None:
            raise ImportError("the compiled helpers were not built")
        self._classes, self._lock = classes(), threading.Lock()
        self._table = self._native.words_new(self._classes, 0, limit)
        if not self._table:
            raise MemoryError
        self._merge_here(record["model"])

    def __del__(self) -> None:
        if getattr(self, "_table", None):
            self._native.words_free(self._table)

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        if not len(texts):
            return []
        import pyarrow as pa

        data, offsets = native.buffers(pa.array(texts, pa.large_string()))
        with self._lock:
            if self._native.words_count(self._table) > REMEMBERED:
                self._native.words_clear(self._table)
            ends = np.empty(len(texts), np.int64)
            fresh = self._native.words_find(self._table, data, offsets, len(texts), ends)
            if fresh < 0:
                raise MemoryError
            if fresh:
                self._learn(fresh)
            ids = np.empty(max(1, self._native.words_length(self._table)), np.uint32)
            self._native.words_ids(self._table, len(texts), ends, ids)
        return [own.copy() for own in np.split(ids[: ends[-1]], ends[:-1])]

    def _learn(self, fresh: int) -> None:
        """Asks the library about the words that are new."""
        offsets = np.zeros(fresh + 1, np.int64)
        size = self._native.words_fresh(self._table, None, offsets.ctypes.data)
        data = np.empty(max(1, size), np.uint8)
        self._native.words_fresh(self._table, data.ctypes.data, None)
        held = data.tobytes()
        words = [held[begin:end].decode() for begin, end in itertools.pairwise(offsets.tolist())]
        found = [e.ids for e in self.library.backend.encode_batch_fast(words, add_special_tokens=False)]
        ends = np.zeros(fresh + 1, np.int64)
        np.cumsum([len(ids) for ids in found], out=ends[1:])
        ids = np.fromiter(itertools.chain.from_iterable(found), np.uint32, int(ends[-1]))
        if self._native.words_learn(self._table, ids if len(ids) else np.zeros(1, np.uint32), ends, fresh):
            raise MemoryError

    def _merge_here(self, model: dict[str, Any]) -> None:
        """Short words of byte-level BPE need not be asked about."""
        vocab, byte = model["vocab"], byte_alphabet()
        plain = model["type"] == "BPE" and not any(
            model.get(key) for key in ("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix")
        )
        if not plain or model.get("ignore_merges") or model.get("byte_fallback") or not set(byte) <= vocab.keys():
            return
        pairs = [pair if isinstance(pair, list) else pair.split(" ", 1) for pair in model["merges"]]
        left, right, made = (
            np.fromiter((vocab[text] for text in texts), np.uint32, len(pairs))
            for texts in ((a for a, _ in pairs), (b for _, b in pairs), (a + b for a, b in pairs))
        )
        of_byte = np.array([vocab[char] for char in byte], np.uint32)
        if self._native.words_merges(self._table, left, right, made, len(pairs), of_byte):
            raise MemoryError


class Fastokens:
    """The ``fastokens`` library (extra ``fast``). Raises ImportError without it, ValueError for what it cannot read."""

    def __init__(self, record: dict[str, Any]) -> None:
        from importlib import metadata

        import fastokens

        self.name = f"fastokens {metadata.version('fastokens')}"
        self.backend = fastokens.Tokenizer.from_json_str(json.dumps(neutral(record)))

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        ids, offsets = self.backend.encode_batch_flat(list(texts), split_special_tokens=True)
        tokens, ends = np.frombuffer(ids, np.uint32), np.frombuffer(offsets, np.uint64)
        return [tokens[ends[i] : ends[i + 1]].copy() for i in range(len(texts))]


def candidates(record: dict[str, Any], library: Library, own_words: int | None) -> Iterator[Encoder]:
    """The encoders that this machine has for a tokenizer, the fastest first, the library itself last.

    ``own_words`` is the limit of our pattern's repetitions (0: none) where the tokenizer cuts words by it, else None.
    """
    if own_words is not None:
        with contextlib.suppress(ImportError):
            yield Native(record, library, own_words)
    with contextlib.suppress(ImportError, ValueError):
        yield Fastokens(record)
    if own_words is not None:
        yield Pieces(library)
    yield library
