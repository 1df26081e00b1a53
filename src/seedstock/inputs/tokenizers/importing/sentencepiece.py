"""A sentencepiece ``.model`` as ``tokenizer.json``. The file is a protocol buffer, of which few fields are needed.

Field numbers are those of ``sentencepiece_model.proto`` (google/sentencepiece): ModelProto.pieces = 1 (piece 1, score
2, type 3), trainer_spec = 2 (model_type 3, byte_fallback 35, treat_whitespace_as_suffix 24), normalizer_spec = 3
(precompiled_charsmap 2, add_dummy_prefix 3, remove_extra_whitespaces 4, escape_whitespaces 5).
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seedstock.errors import DataError

SPACE = "▁"
UNIGRAM, BPE = 1, 2
UNKNOWN, CONTROL, USER = 2, 3, 4


def read(path: Path) -> dict[str, Any]:
    """The content of ``tokenizer.json``. Raises DataError where the file is damaged or its model is of another kind."""
    try:
        return _convert(path.read_bytes(), path)
    except (IndexError, struct.error, UnicodeDecodeError, KeyError, ValueError) as error:
        raise DataError(f"not a sentencepiece model: {error!r}", where=path, fix="give a whole .model file") from None


def _convert(data: bytes, path: Path) -> dict[str, Any]:
    pieces: list[tuple[str, float, int]] = []
    trainer: dict[int, Any] = {}
    normalizer: dict[int, Any] = {}
    for number, value in _fields(data):
        if number == 1:
            own = dict(_fields(value))
            pieces.append((own[1].decode(), struct.unpack("<f", own.get(2, b"\0\0\0\0"))[0], own.get(3, 1)))
        elif number == 2:
            trainer = dict(_fields(value))
        elif number == 3:
            normalizer = dict(_fields(value))
    if not pieces:
        raise ValueError("it has no pieces")
    kind = trainer.get(3, UNIGRAM)
    if kind not in (UNIGRAM, BPE) or trainer.get(24, 0) or not normalizer.get(5, 1):
        raise DataError(
            "a sentencepiece model of words or characters, or with spaces as suffixes",
            where=path,
            fix="Unigram and BPE models with spaces as prefixes can be imported",
        )
    fallback = bool(trainer.get(35, 0))
    prefix = "always" if normalizer.get(3, 1) else "never"
    split = not any(SPACE in text[1:] for text, _, kind_ in pieces if kind_ not in (CONTROL, UNKNOWN))
    metaspace = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": prefix, "split": split}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": number,
                "content": text,
                **dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False),
                "special": piece != USER,
            }
            for number, (text, _, piece) in enumerate(pieces)
            if piece in (UNKNOWN, CONTROL, USER)
        ],
        "normalizer": _normalizer(normalizer),
        "pre_tokenizer": metaspace,
        "post_processor": None,
        "decoder": {
            "type": "Sequence",
            "decoders": [*([{"type": "ByteFallback"}] if fallback else []), metaspace],
        },
        "model": _unigram(pieces, fallback) if kind == UNIGRAM else _bpe(pieces, fallback),
    }


def _normalizer(spec: dict[int, Any]) -> dict[str, Any] | None:
    steps: list[dict[str, Any]] = []
    if spec.get(2):
        steps.append({"type": "Precompiled", "precompiled_charsmap": base64.b64encode(spec[2]).decode()})
    if spec.get(4, 1):
        steps.append({"type": "Strip", "strip_left": True, "strip_right": True})
        steps.append({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "})
    return {"type": "Sequence", "normalizers": steps} if steps else None


def _unigram(pieces: list[tuple[str, float, int]], fallback: bool) -> dict[str, Any]:
    unknown = next((number for number, piece in enumerate(pieces) if piece[2] == UNKNOWN), None)
    return {
        "type": "Unigram",
        "unk_id": unknown,
        "vocab": [[text, score] for text, score, _ in pieces],
        "byte_fallback": fallback,
    }


def _bpe(pieces: list[tuple[str, float, int]], fallback: bool) -> dict[str, Any]:
    """Merges follow the scores: each piece is made of every pair of pieces that join to it, the best piece first."""
    number = {text: place for place, (text, _, kind) in enumerate(pieces) if kind not in (UNKNOWN, CONTROL, USER)}
    merges = []
    for text, place in number.items():
        cuts = ((text[:at], text[at:]) for at in range(1, len(text)))
        pairs = [pair for pair in cuts if pair[0] in number and pair[1] in number]
        pairs.sort(key=lambda pair: (number[pair[0]], number[pair[1]]))
        merges += [(-pieces[place][1], order, pair) for order, pair in enumerate(pairs)]
    merges.sort(key=lambda entry: entry[0])  # stable: pieces of one score stay in their order
    unknown = next((text for text, _, kind in pieces if kind == UNKNOWN), None)
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": unknown,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": True,
        "byte_fallback": fallback,
        "ignore_merges": False,
        "vocab": {text: place for place, (text, _, _) in enumerate(pieces)},
        "merges": [list(pair) for _, _, pair in merges],
    }


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """(field number, value) of a message: integers for varints, bytes for the rest."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        size = {1: 8, 5: 4}.get(wire)
        if wire == 2:
            size, at = _varint(data, at)
        if size is None or at + size > len(data):
            raise ValueError(f"cut off or damaged at byte {at}")
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
