"""Who turns texts into ids: the library itself, or something faster that gives the same ids.

Every encoder works on the neutral copy (``neutral.py``), in which no text is a special. They differ in speed alone: at
the start of a stage ``check.choose`` compares them with the library on real texts.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Protocol

import numpy as np

from seedstock.inputs.tokenizers.neutral import neutral
from seedstock.inputs.tokenizers.pieces import pieces

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
        self._forget()

    def _forget(self) -> None:
        self._known: dict[str, int] = {}
        self._tokens = np.zeros(0, np.uint32)
        self._ends = np.zeros(1, np.int64)

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        if len(self._known) > REMEMBERED or len(self._tokens) > 8 * REMEMBERED:
            self._forget()
        cut = [pieces(text) for text in texts]
        known, count = self._known, len(self._known)
        fresh = list({piece: None for text in cut for piece in text if piece not in known})
        if fresh:
            found = [e.ids for e in self.library.backend.encode_batch_fast(fresh, add_special_tokens=False)]
            self._tokens = np.concatenate([self._tokens, np.fromiter(chain.from_iterable(found), np.uint32)])
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


def candidates(record: dict[str, Any], library: Library, own_words: bool) -> Iterator[Encoder]:
    """The encoders that this machine has for a tokenizer, the fastest first, the library itself last."""
    with contextlib.suppress(ImportError, ValueError):
        yield Fastokens(record)
    if own_words:
        yield Pieces(library)
    yield library
