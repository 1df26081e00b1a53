"""What a vocabulary alone says of itself: its longest tokens, tokens that no text gives, specials read out of text."""

from __future__ import annotations

from typing import Any

import numpy as np

from seedstock.inputs.tokenizers.tokenizer import Tokenizer


def inspect(tokenizer: Tokenizer, used: np.ndarray | None = None) -> dict[str, Any]:
    """What the vocabulary alone says: longest tokens, tokens that no text gives, specials read out of text.

    A token whose own text is encoded otherwise, and which no text of the sample gave either (``used``), was hardly
    trained, if ever: such tokens make models misbehave (Land and Bartolo 2024, arXiv 2405.05417).
    """
    special = set(tokenizer.specials.values())
    ordinary = [number for number in range(tokenizer.vocab_size) if tokenizer.byte_lengths[number]]
    texts: dict[int, str] = {}
    for number, item in zip(ordinary, tokenizer.bytes_of(ordinary), strict=True):
        try:
            texts[number] = item.decode()
        except UnicodeDecodeError:
            continue  # a part of a character: its own text is not one
    encoded = tokenizer.encode_batch(list(texts.values()))
    apart = [number for number, ids in zip(texts, encoded, strict=True) if ids.tolist() != [number]]
    never = [number for number in apart if used is None or not used[number]]
    longest = sorted(ordinary, key=lambda number: (-tokenizer.byte_lengths[number], number))[:10]
    return {
        "longest": [
            {"id": number, "bytes": int(tokenizer.byte_lengths[number]), "text": _text(tokenizer, number)}
            for number in longest
        ],
        "unreachable": {"count": len(never), "examples": [_text(tokenizer, number) for number in never[:20]]},
        "special_injection": _injection(tokenizer, special),
    }


def _injection(tokenizer: Tokenizer, special: set[int]) -> dict[str, int]:
    """Specials spelled out in text, alone and among words: how many came out as specials (none may)."""
    spelled = [item.decode("utf-8", "replace") for item in tokenizer.bytes_of(sorted(special))]
    texts = [form for name in spelled for form in (name, f"a{name}b", f" {name} {name}\n", name * 3)]
    allowed = {tokenizer.specials.get("unk", -1)}
    hits = sum(bool((special - allowed) & set(ids.tolist())) for ids in tokenizer.encode_batch(texts))
    return {"texts": len(texts), "read_as_special": hits}


def _text(tokenizer: Tokenizer, number: int) -> str:
    return tokenizer.bytes_of([number])[0].decode("utf-8", "backslashreplace")
