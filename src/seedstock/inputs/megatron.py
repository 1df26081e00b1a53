"""Shards as Megatron's indexed datasets: ``NAME.bin`` and ``NAME.idx``, with the ledger of their documents beside them.

A document is one sequence, with its BOS and EOS. Next to each pair lies ``NAME.documents.npy``, which names every
document of it (id and tokens, as in the shards), and ``ledger.json`` says which shards and tokenizer they are of.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from seedstock.corpus.sources.token_formats import MEGATRON, MEGATRON_TYPES
from seedstock.errors import DataError
from seedstock.inputs.shards import DOCUMENT, Shards, Stratum
from seedstock.ledger import manifest
from seedstock.ledger.files import atomic_folder, write_json
from seedstock.ledger.ids import sha256_file
from seedstock.progress import Reporter, Silent

BLOCK = 1 << 22  # tokens copied at once
_CODES = {name: code for code, name in MEGATRON_TYPES.items()}


def export(
    shards: Shards,
    folder: Path,
    *,
    about: dict[str, Any] | None = None,
    beside: Callable[[Path], None] | None = None,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Writes a pair of files for each stratum of each split; returns what ``ledger.json`` holds, ``about`` among it.

    ``beside`` is handed the folder before it is whole, to add files of its own. Ids are uint16 where the vocabulary
    allows it, else int32, as Megatron has no uint32. Each pair is read back and compared before the folder is put in
    its place. Raises DataError where the folder exists.
    """
    folder = Path(folder)
    if folder.exists():
        raise DataError("it exists already", where=folder, fix="name a folder that does not exist yet")
    dtype = np.dtype("<u2" if shards.dtype.itemsize == 2 else "<i4")
    with atomic_folder(folder) as partial:
        pairs = []
        strata = [(split, stratum) for split in shards.index["splits"] for stratum in shards.strata(split)]
        with (reporter or Silent()).bar("megatron", sum(one.tokens for _, one in strata), "tokens") as bar:
            for split, stratum in strata:
                name = f"{split}-{stratum.stratum:05d}"
                pairs.append(_pair(shards, split, stratum, partial / name, dtype))
                bar.advance(stratum.tokens)
        if beside:
            beside(partial)
        sealed = manifest.read(shards.folder)
        ledger = {
            "format": 1,
            **(about or {}),
            "shards": {"root": sealed.root, "origin": sealed.origin},
            "tokenizer": shards.index["tokenizer"],
            "vocab_size": shards.vocab_size,
            "specials": shards.specials,
            "document": shards.index["encoding"]["document"],
            "pairs": pairs,
        }
        write_json(partial / "ledger.json", ledger)
    return ledger


def _pair(shards: Shards, split: str, stratum: Stratum, path: Path, dtype: np.dtype) -> dict[str, Any]:
    names, starts = shards.documents(split, stratum.stratum)
    lengths = np.diff(starts)
    table = np.empty(len(names), DOCUMENT)
    table["id"], table["tokens"] = names, lengths
    with path.with_suffix(".bin").open("wb") as file:
        for start in range(0, stratum.tokens, BLOCK):
            stop = min(start + BLOCK, stratum.tokens)
            ids = shards.read(split, stratum.stratum, np.array([start]), stop - start)[0]
            file.write(ids.astype(dtype).tobytes())
    with path.with_suffix(".idx").open("wb") as file:
        _index(file, lengths, dtype)
    np.save(path.with_name(f"{path.name}.documents.npy"), table, allow_pickle=False)
    _prove(shards, split, stratum, path, starts)
    return {
        "name": path.name,
        "split": split,
        **{key: getattr(stratum, key) for key in ("stratum", "source", "domain", "language", "documents", "tokens")},
        "sha256": {
            suffix: sha256_file(path.with_name(f"{path.name}.{suffix}")) for suffix in ("bin", "idx", "documents.npy")
        },
    }


def _index(file: IO[bytes], lengths: np.ndarray, dtype: np.dtype) -> None:
    """One sequence a document; the last of the documents' firsts is where they end."""
    pointers = np.zeros(len(lengths), "<i8")
    np.cumsum(lengths[:-1] * dtype.itemsize, out=pointers[1:])
    file.write(MEGATRON + struct.pack("<QBQQ", 1, _CODES[dtype.str], len(lengths), len(lengths) + 1))
    file.write(lengths.astype("<i4").tobytes())
    file.write(pointers.tobytes())
    file.write(np.arange(len(lengths) + 1, dtype="<i8").tobytes())


def _prove(shards: Shards, split: str, stratum: Stratum, path: Path, starts: np.ndarray) -> None:
    """Reads a pair as the source of token files does, and compares it with the shards."""
    from seedstock.corpus.sources.token_formats import megatron

    stored = megatron(str(path.with_suffix(".bin")))
    same = stored.starts is not None and np.array_equal(stored.starts, starts)
    for start in range(0, stratum.tokens if same else 0, BLOCK):
        stop = min(start + BLOCK, stratum.tokens)
        same &= np.array_equal(
            stored.read(start, stop), shards.read(split, stratum.stratum, np.array([start]), stop - start)[0]
        )
    if not same:
        raise DataError("what was written is not what the shards hold", where=path, fix="report this as a bug")
