"""Texts to token ids and back, from a tokenizer folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from seedstock.errors import IntegrityError
from seedstock.inputs.tokenizers.pieces import pieces
from seedstock.inputs.tokenizers.specials import UNKNOWN, byte_alphabet, name_of
from seedstock.ledger.ids import sha256

REMEMBERED = 1 << 20  # distinct pieces whose tokens are kept, eight tokens each at most


class Tokenizer:
    """A tokenizer folder. Raises IntegrityError where ``tokenizer.json`` is missing, damaged or not of our kinds.

    ``specials`` maps names (``bos``, ``eos``, ``pad``, …) to ids; ``byte_lengths`` (int64 ``[vocab_size]``) says how
    many bytes of text each id stands for, 0 for specials.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        path = self.folder / "tokenizer.json"
        try:
            data = path.read_bytes()
            record = json.loads(data)
            vocabulary: dict[str, int] = record["model"]["vocab"]
            added = {token["content"]: token["id"] for token in record["added_tokens"]}
            decoder, merges = record["decoder"]["type"], record["model"]["merges"]
        except FileNotFoundError:
            raise IntegrityError("the file is missing", where=path, fix="train the tokenizer again") from None
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityError(f"not a tokenizer: {error!r}", where=path, fix="train the tokenizer again") from None
        self.sha256 = sha256(data)
        self.kind = "characters" if decoder == "Fuse" else "bpe" if merges else "bytes"
        self.specials = {name_of(text): number for text, number in sorted(added.items(), key=lambda item: item[1])}
        self.vocab_size = 1 + max([*vocabulary.values(), *added.values()])
        self._bytes = self._byte_table(vocabulary | added, added)
        self.byte_lengths = np.array([len(item) for item in self._bytes], np.int64)
        self.byte_lengths[list(added.values())] = 0
        self._backend: Any = None
        self._known: dict[str, int] = {}
        self._tokens = np.zeros(0, np.uint32)
        self._ends = np.zeros(1, np.int64)

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The ids of each text, uint32 ``[tokens]``. Adds no specials, and reads none out of the text."""
        if self.kind == "bytes":
            return [self._ids[np.frombuffer(text.encode(), np.uint8)] for text in texts]
        if self.kind == "characters":
            return [self._ids[np.frombuffer(text.encode("utf-32-le"), "<u4")] for text in texts]
        return self._encode_words([pieces(text) for text in texts])

    def encode(self, text: str) -> np.ndarray:
        """The ids of one text, uint32 ``[tokens]``."""
        return self.encode_batch([text])[0]

    def bytes_of(self, ids: Iterable[int]) -> list[bytes]:
        """The bytes that each id stands for; a special's are its name as written."""
        return [self._bytes[number] for number in ids]

    def decode(self, ids: Iterable[int], *, skip_specials: bool = False) -> str:
        """The text of ids; bytes that are not UTF-8 (a character cut in half) become U+FFFD."""
        if skip_specials:
            ids = (number for number in ids if self.byte_lengths[number])
        return b"".join(self.bytes_of(ids)).decode("utf-8", "replace")

    def _byte_table(self, vocabulary: dict[str, int], added: dict[str, int]) -> list[bytes]:
        value = {char: bytes([byte]) for byte, char in enumerate(byte_alphabet())}
        table = [b""] * self.vocab_size
        for text, number in vocabulary.items():
            plain = text in added or self.kind == "characters"
            table[number] = text.encode() if plain else b"".join(value[char] for char in text)
        return table

    @cached_property
    def _ids(self) -> np.ndarray:
        """Byte or code point → id, uint32."""
        ids = np.full(256 if self.kind == "bytes" else 0x110000, self.specials.get(UNKNOWN, 0), np.uint32)
        special = set(self.specials.values())
        for number, item in enumerate(self._bytes):
            if number not in special:
                ids[item[0] if self.kind == "bytes" else ord(item.decode())] = number
        return ids

    def _encode_words(self, cut: list[list[str]]) -> list[np.ndarray]:
        """Each distinct piece is encoded by the library once; texts are put together from what is remembered."""
        if len(self._known) > REMEMBERED or len(self._tokens) > 8 * REMEMBERED:
            self._known, self._tokens, self._ends = {}, self._tokens[:0], self._ends[:1]
        known, count = self._known, len(self._known)
        fresh = list({piece: None for text in cut for piece in text if piece not in known})
        if fresh:
            found = [encoding.ids for encoding in self._library().encode_batch_fast(fresh, add_special_tokens=False)]
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

    def _library(self) -> Any:
        if self._backend is None:
            from tokenizers import Tokenizer as Backend

            self._backend = Backend.from_file(str(self.folder / "tokenizer.json"))
            self._backend.encode_special_tokens = True  # a special spelled out in a text is text
        return self._backend
