"""A tiktoken file of ranks (a token in base64 and its rank on each line) as byte-level BPE in ``tokenizer.json``."""

from __future__ import annotations

import base64
import binascii
import itertools
from pathlib import Path
from typing import Any

from seedstock.errors import DataError
from seedstock.inputs.tokenizers.specials import byte_alphabet

_CASED = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_SUFFIX = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
PATTERNS = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "cl100k": (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
    "o200k": (
        rf"[^\r\n\p{{L}}\p{{N}}]?{_CASED[0]}*{_CASED[1]}+{_SUFFIX}|[^\r\n\p{{L}}\p{{N}}]?{_CASED[0]}+{_CASED[1]}*{_SUFFIX}"
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
}


def read(path: Path, pattern: str) -> dict[str, Any]:
    """The content of ``tokenizer.json``. Raises DataError where a line is not a token and its rank."""
    ranks = _ranks(path)
    character = byte_alphabet()

    def written(token: bytes) -> str:
        return "".join(character[byte] for byte in token)

    merges = [[written(part) for part in _parts(token, ranks)] for token in ranks if len(token) > 1]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {
                    "type": "Split",
                    "pattern": {"Regex": PATTERNS.get(pattern, pattern)},
                    "behavior": "Isolated",
                    "invert": False,
                },
                {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
            ],
        },
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": True,  # a word that is a token is that token, as in tiktoken
            "vocab": {written(token): rank for token, rank in ranks.items()},
            "merges": merges,
        },
    }


def _ranks(path: Path) -> dict[bytes, int]:
    """Token → rank, in the order of ranks."""
    found = {}
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            token, rank = line.split()
            found[base64.b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error):
            raise DataError(
                "not a token in base64 and its rank", where=f"{path}, line {number}", fix="give a tiktoken file"
            ) from None
    missing = [byte for byte in range(256) if bytes([byte]) not in found]
    if missing:
        raise DataError(
            f"{len(missing)} of the 256 bytes have no rank", where=path, fix="give a whole tiktoken file of ranks"
        )
    return dict(sorted(found.items(), key=lambda item: item[1]))


def _parts(token: bytes, ranks: dict[bytes, int]) -> tuple[bytes, bytes]:
    """The two tokens that merge into this one: what encoding it gives with the ranks before its own."""
    parts = [token[i : i + 1] for i in range(len(token))]
    limit = ranks[token]
    while len(parts) > 2:
        ranked = [ranks.get(left + right, limit) for left, right in itertools.pairwise(parts)]
        best = min(ranked)
        if best >= limit:
            break
        at = ranked.index(best)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    if len(parts) != 2:  # not reachable by merges: only a word that is the token gives it
        return token[:-1], token[-1:]
    return parts[0], parts[1]
