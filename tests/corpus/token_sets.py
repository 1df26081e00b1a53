"""The same documents of token ids, written as each program writes them."""

from __future__ import annotations

import csv
import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

EOT = 50256


def documents(count: int = 40, seed: int = 0, most: int = 50256) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, most, rng.integers(1, 200)).astype(np.uint32) for _ in range(count)]


def nanogpt(folder: Path, docs: list[np.ndarray], dtype: str = "<u2") -> Path:
    """One stream, each document followed by <|endoftext|>, as its prepare.py does."""
    path = folder / "train.bin"
    np.concatenate([np.append(doc, EOT) for doc in docs]).astype(dtype).tofile(path)
    return path


def llm_c(folder: Path, docs: list[np.ndarray]) -> Path:
    tokens = np.concatenate([np.insert(doc, 0, EOT) for doc in docs])
    head = np.zeros(256, "<i4")
    head[:3] = 20240520, 1, len(tokens)
    path = folder / "fineweb_train.bin"
    path.write_bytes(head.tobytes() + tokens.astype("<u2").tobytes())
    return path


def megatron(folder: Path, docs: list[np.ndarray], sequences: int = 1, dtype: str = "<u2") -> Path:
    """``sequences`` a document, as its preprocessing does with sentences."""
    parts = [part for doc in docs for part in np.array_split(doc, sequences)]
    data = np.concatenate(parts).astype(dtype)
    lengths = np.array([len(part) for part in parts], "<i4")
    pointers = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype("<i8") * np.dtype(dtype).itemsize
    first = np.arange(0, len(parts) + 1, sequences, dtype="<i8")
    code = {"<u2": 8, "<i4": 4}[dtype]
    (folder / "corpus_text_document.bin").write_bytes(data.tobytes())
    head = b"MMIDIDX\0\0" + struct.pack("<QBQQ", 1, code, len(lengths), len(first))
    (folder / "corpus_text_document.idx").write_bytes(head + lengths.tobytes() + pointers.tobytes() + first.tobytes())
    return folder / "corpus_text_document.bin"


def dolma(folder: Path, docs: list[np.ndarray], header: bool = False, table: bool = True) -> Path:
    data = np.concatenate(docs).astype("<u2")
    path = folder / "part-0-00000.npy"
    if header:
        np.save(path, data)
    else:
        data.tofile(path)
    if table:
        with gzip.open(folder / "part-0-00000.csv.gz", "wt", newline="") as file:
            at = 0
            for number, doc in enumerate(docs):
                csv.writer(file).writerow([at, at + len(doc), f"doc-{number}", "s3://bucket/x.json.gz", number + 1])
                at += len(doc)
    return path


def datatrove(folder: Path, docs: list[np.ndarray], dtype: str = "<u2") -> Path:
    path = folder / "00000_unshuffled.ds"
    np.concatenate(docs).astype(dtype).tofile(path)
    np.cumsum([len(doc) for doc in docs]).astype("<u8").tofile(f"{path}.index")
    Path(f"{path}.metadata").write_text("gpt2\n1000\n1 kT")
    return path


def mds(folder: Path, docs: list[np.ndarray], encoding: str = "ndarray", compression: str | None = None) -> Path:
    rows = []
    for number, doc in enumerate(docs):
        name = f"doc-{number}".encode()
        if encoding == "bytes":
            value = doc.astype("<i8").tobytes()
        elif encoding == "ndarray:uint16":
            value = bytes([1 << 2 | 1]) + struct.pack("<H", len(doc)) + doc.astype("<u2").tobytes()
        else:
            value = bytes([33, 1 << 2 | 1]) + struct.pack("<H", len(doc)) + doc.astype("<i4").tobytes()
        rows.append(struct.pack("<II", len(name), len(value)) + name + value)
    config = b'{"some": "header"}'
    first = 4 * (len(rows) + 2) + len(config)
    offsets = np.cumsum([first, *map(len, rows)]).astype("<u4")
    data = struct.pack("<I", len(rows)) + offsets.tobytes() + config + b"".join(rows)
    stored, name = data, "shard.00000.mds"
    about = {"raw_data": {"basename": name, "bytes": len(data), "hashes": {}}, "zip_data": None}
    if compression:
        stored, name = zstandard.compress(data), "shard.00000.mds.zstd"
        about["zip_data"] = {"basename": name, "bytes": len(stored), "hashes": {}}
    (folder / name).write_bytes(stored)
    shard = about | {
        "column_names": ["name", "tokens"],
        "column_encodings": ["str", encoding],
        "column_sizes": [None, None],
        "compression": compression,
        "format": "mds",
        "samples": len(rows),
        "version": 2,
    }
    (folder / "index.json").write_text(json.dumps({"version": 2, "shards": [shard]}))
    return folder / "index.json"


def parquet(folder: Path, docs: list[np.ndarray], pad_to: int | None = None) -> Path:
    path = folder / "train-00000.parquet"
    rows = [{"input_ids": doc.tolist()} for doc in docs]
    if pad_to:
        shorter = [(doc.tolist(), [0] * (pad_to - len(doc))) for doc in docs]
        rows = [{"input_ids": doc + rest, "attention_mask": [1] * len(doc) + rest} for doc, rest in shorter]
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=16)
    return path


def arrow(folder: Path, docs: list[np.ndarray], stream: bool = True) -> Path:
    path = folder / "data-00000-of-00001.arrow"
    table = pa.Table.from_pylist([{"input_ids": doc.tolist()} for doc in docs])
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=16)
    return path
