"""Texts to token ids and back, from a tokenizer folder."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from seedstock.errors import DataError, IntegrityError
from seedstock.inputs.tokenizers import token_bytes
from seedstock.inputs.tokenizers.check import Choice, choose
from seedstock.inputs.tokenizers.encoders import Encoder, Library, Pieces, candidates
from seedstock.inputs.tokenizers.importing.append import vocabulary as vocabulary_of
from seedstock.inputs.tokenizers.pieces import LIMIT, PATTERN, bounded, chunks
from seedstock.inputs.tokenizers.specials import UNKNOWN, name_of
from seedstock.ledger.ids import digest, sha256
from seedstock.progress import Reporter, Silent

LONG = 1 << 20  # characters
_SURROGATE = re.compile("[\ud800-\udfff]")
SETTINGS = ("bos", "eos", "pad", "mask", "unk")  # specials that tokenizer_config.json names


class Tokenizer:
    """A tokenizer folder. Raises IntegrityError where ``tokenizer.json`` is missing or damaged.

    ``specials`` maps names (``bos``, ``eos``, ``pad``, …) to ids; ``byte_lengths`` (int64 ``[vocab_size]``) says how
    many bytes of text each id stands for, 0 for specials. ``exact`` is whether ids decode to the very text: an imported
    tokenizer may normalize.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        path = self.folder / "tokenizer.json"
        try:
            data = path.read_bytes()
            self._record: dict[str, Any] = json.loads(data)
            vocabulary = vocabulary_of(self._record["model"])
            added = {token["content"]: token["id"] for token in self._record["added_tokens"]}
            special = {token["content"] for token in self._record["added_tokens"] if token["special"]}
            self._decoder = self._record["decoder"]
            self.kind = self._kind()
        except FileNotFoundError:
            raise IntegrityError("the file is missing", where=path, fix="train the tokenizer again") from None
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise IntegrityError(f"not a tokenizer: {error!r}", where=path, fix="train the tokenizer again") from None
        self.sha256 = sha256(data)
        self.written: dict[str, int] = vocabulary | added
        """Every token as ``tokenizer.json`` writes it → its id."""
        self.specials = self._specials({text: number for text, number in added.items() if text in special})
        self.vocab_size = 1 + max([*vocabulary.values(), *added.values()])
        plain = {*added, *vocabulary} if self.kind in ("characters", "words") else set(added)
        self._bytes = token_bytes.of_tokens(vocabulary | added, self.vocab_size, plain, self._decoder)
        self.byte_lengths = np.array([len(item) for item in self._bytes], np.int64)
        self.byte_lengths[list(self.specials.values())] = 0
        changes = self._record.get("normalizer") is not None or self.kind == "words"
        self.exact = not changes and not token_bytes.begins_with_space(self._decoder)
        self._encoder: Encoder | None = None

    @cached_property
    def fingerprint(self) -> str:
        """A digest of what the file says, however it is written: one that was imported has that of its origin."""
        return digest(self._record)

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The ids of each text, uint32 ``[tokens]``. Adds no specials, and reads none out of the text.

        A text of more than LONG characters is encoded in parts, which are cut where words end as far as there are such
        places: memory stays bounded. Raises DataError for a text with a lone surrogate, which has no bytes.
        """
        try:
            if any(len(text) > LONG for text in texts):
                return self._in_parts(texts)
            return self._encode(texts)
        except (UnicodeEncodeError, TypeError):
            for number, text in enumerate(texts):
                if found := _SURROGATE.search(text):
                    raise DataError(
                        f"text {number} has the lone surrogate U+{ord(found[0]):X} at character {found.start()}",
                        fix="decode it with errors='replace', or leave it out",
                    ) from None
            raise

    def _encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        if self.kind == "bytes":
            return [self._ids[np.frombuffer(text.encode(), np.uint8)] for text in texts]
        if self.kind == "characters":
            return [self._ids[np.frombuffer(text.encode("utf-32-le"), "<u4")] for text in texts]
        if self._encoder is None:
            self._encoder = Pieces(self._library) if self._own_words is not None else self._library
        return self._encoder.encode(texts)

    def _in_parts(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Long texts part by part; texts of other tokenizers, whose words we do not know, in larger parts."""
        found = []
        for text in texts:
            safe = chunks(text, LONG) if self._own_words is not None else [text]
            size = 2 * LONG if self._own_words is not None else 8 * LONG
            parts = (part[at : at + size] for part in safe for at in range(0, max(1, len(part)), size))
            found.append(np.concatenate([self._encode([part])[0] for part in parts]))
        return found

    def encode(self, text: str) -> np.ndarray:
        """The ids of one text, uint32 ``[tokens]``."""
        return self.encode_batch([text])[0]

    def settle(self, texts: Sequence[str], reporter: Reporter | None = None) -> Choice:
        """From here on encodes by the fastest encoder whose ids are the library's on ``texts``; says which it is."""
        if self.kind in ("bytes", "characters"):
            return Choice("table", "table", 0, 0)
        found = list(candidates(self._record, self._library, self._own_words))
        self._encoder, choice = choose(found, self._library, texts, reporter or Silent())
        return choice

    def bytes_of(self, ids: Iterable[int]) -> list[bytes]:
        """The bytes that each id stands for; a special's are its name as written."""
        return [self._bytes[number] for number in ids]

    def decode(self, ids: Iterable[int], *, skip_specials: bool = False) -> str:
        """The text of ids; bytes that are not UTF-8 (a character cut in half) become U+FFFD."""
        if skip_specials:
            ids = (number for number in ids if self.byte_lengths[number])
        between = b" " if self.kind == "words" else b""
        text = between.join(self.bytes_of(ids)).decode("utf-8", "replace")
        return text.removeprefix(" ") if token_bytes.begins_with_space(self._decoder) else text

    def _kind(self) -> str:
        model = self._record["model"]
        if model.get("type") == "WordLevel" and not self._decoder:
            return "words"
        kind = {"Unigram": "unigram", "WordPiece": "wordpiece"}.get(model.get("type", "BPE"), "bpe")
        if kind == "bpe" and not model["merges"]:  # tables, in our own files
            if self._decoder and self._decoder["type"] == "Fuse":
                return "characters"
            if self._decoder and self._decoder["type"] == "ByteLevel" and len(model["vocab"]) < 1024:
                return "bytes"
        return kind

    def _specials(self, special: dict[str, int]) -> dict[str, int]:
        """Names to ids, by id. An imported tokenizer's settings say which of its specials are ours."""
        try:
            settings = json.loads((self.folder / "tokenizer_config.json").read_text(encoding="utf-8"))
            chosen = {name: settings.get(f"{name}_token") for name in SETTINGS} | settings.get("seedstock_specials", {})
        except (OSError, ValueError, AttributeError, TypeError):
            chosen = {}
        texts = {name: text.get("content") if isinstance(text, dict) else text for name, text in chosen.items()}
        named = {name: special[text] for name, text in texts.items() if text in special}
        others = {name_of(text): number for text, number in special.items() if number not in named.values()}
        return dict(sorted((others | named).items(), key=lambda item: (item[1], item[0])))

    @cached_property
    def _own_words(self) -> int | None:
        """Where texts are cut into words by our pattern alone, the limit of its repetitions (0: none); else None."""
        before = self._record.get("pre_tokenizer") or {}
        split = (before.get("pretokenizers") or [{}])[0].get("pattern")
        specials = all(token["special"] for token in self._record["added_tokens"])
        if self._record.get("normalizer") is not None or not specials:
            return None
        return {PATTERN: 0, bounded(): LIMIT}.get((split or {}).get("Regex", ""))

    @cached_property
    def _library(self) -> Library:
        return Library(self._record)

    @cached_property
    def _ids(self) -> np.ndarray:
        """Byte or code point → id, uint32."""
        ids = np.full(256 if self.kind == "bytes" else 0x110000, self.specials.get(UNKNOWN, 0), np.uint32)
        special = set(self.specials.values())
        for number, item in enumerate(self._bytes):
            if number not in special:
                ids[item[0] if self.kind == "bytes" else ord(item.decode())] = number
        return ids
