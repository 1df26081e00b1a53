"""Shards of byte documents, written as the contract says, and the tokenizer that goes with them."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from seedstock.inputs.shards import DOCUMENT, Shards

BOS, EOS, PAD = 256, 257, 258


class ByteTokenizer:
    """A token a byte; ids from 256 on are special."""

    vocab_size = 320
    specials = {"bos": BOS, "eos": EOS, "pad": PAD}  # noqa: RUF012
    byte_lengths = np.array([1] * 256 + [0] * 64)


def document_id(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=16).digest()


def write_shards(folder, strata):
    """``strata`` is a list of (source, domain, language, [bytes of a document…])."""
    (folder / "held_out").mkdir(parents=True)
    entries = []
    for number, (source, domain, language, texts) in enumerate(strata):
        stream = np.concatenate([[BOS, *text, EOS] for text in texts]).astype("<u2")
        path, table = f"held_out/{number:05d}-00000.tokens", f"held_out/{number:05d}.documents.npy"
        stream.tofile(folder / path)
        rows = np.zeros(len(texts), DOCUMENT)
        rows["id"] = [np.frombuffer(document_id(text), np.uint8) for text in texts]
        rows["tokens"] = [len(text) + 2 for text in texts]
        np.save(folder / table, rows)
        entry = {"stratum": number, "source": source, "domain": domain, "language": language, "table": table}
        entry |= {"tokens": len(stream), "documents": len(texts), "bytes": sum(map(len, texts))}
        entries.append(entry | {"files": [{"path": path, "tokens": len(stream)}]})
    index = {"format": 1, "dtype": "uint16", "vocab_size": 320, "specials": ByteTokenizer.specials, "tokenizer": ""}
    (folder / "index.json").write_text(json.dumps(index | {"splits": {"train": [], "held_out": entries}}))
    return Shards(folder)
