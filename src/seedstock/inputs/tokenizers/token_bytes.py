"""How many bytes of text, and which, each token stands for, from what a tokenizer's decoder does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from seedstock.inputs.tokenizers.specials import byte_alphabet

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>\Z")


def steps(decoder: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    """The steps of a decoder, sequences unrolled."""
    if not decoder:
        return
    if decoder["type"] == "Sequence":
        for inner in decoder["decoders"]:
            yield from steps(inner)
    else:
        yield decoder


def of_tokens(vocabulary: dict[str, int], size: int, plain: set[str], decoder: dict[str, Any] | None) -> list[bytes]:
    """The bytes of each id: byte-level characters, ``<0x0A>`` and space signs read back, ``plain`` tokens as written.

    What a decoder does at the beginning of a text (taking a first space away) is not part of a token.
    """
    value = {char: bytes([byte]) for byte, char in enumerate(byte_alphabet())}
    todo = list(steps(decoder))
    table = [b""] * size
    for text, number in vocabulary.items():
        table[number] = text.encode() if text in plain else _bytes(text, todo, value)
    return table


def _bytes(text: str, todo: list[dict[str, Any]], value: dict[str, bytes]) -> bytes:
    for step in todo:
        kind = step["type"]
        if kind == "ByteFallback" and (match := _BYTE.match(text)):
            return bytes([int(match[1], 16)])
        if kind == "ByteLevel":
            return b"".join(value.get(char) or char.encode() for char in text)
        if kind == "Replace" and "String" in step["pattern"]:
            text = text.replace(step["pattern"]["String"], step["content"])
        elif kind == "Metaspace":
            text = text.replace(step["replacement"], " ")
        elif kind == "WordPiece":
            text = text[len(step["prefix"]) :] if text.startswith(step["prefix"]) else " " + text
        elif kind == "BPEDecoder":
            text = text.replace(step["suffix"], " ")
    return text.encode()


def begins_with_space(decoder: dict[str, Any] | None) -> bool:
    """Whether decoding takes a space away from the beginning of a text, which encoding put there."""
    for step in steps(decoder):
        if step["type"] == "Metaspace" and step.get("prepend_scheme", "always") != "never":
            return True
        if step["type"] == "WordPiece" or (step["type"] == "Strip" and step.get("start", 0) and step["content"] == " "):
            return True
    return False
