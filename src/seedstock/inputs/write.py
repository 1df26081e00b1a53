"""Writing shards: the corpus's texts as token streams by stratum, with the tables that map them to documents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seedstock.corpus.media.types import TOKENS
from seedstock.errors import DataError, SeedstockError
from seedstock.inputs.shards import DOCUMENT, FORMAT
from seedstock.ledger import manifest
from seedstock.ledger.files import write_json

if TYPE_CHECKING:
    from seedstock.corpus import Corpus
    from seedstock.inputs.tokenizers import Tokenizer
    from seedstock.ledger.store import Store
    from seedstock.progress import Bar, Reporter

STAGE = "shards"
SPLITS = ("train", "held_out")
FILE_BYTES = 1 << 30
CHECKED, CHECKED_PARTS, CHECKED_CHARACTERS = 256, 16, 4096  # texts, parts of the corpus, characters of a text


def inputs_of(corpus: Corpus, tokenizer: Tokenizer, *, file_bytes: int = FILE_BYTES) -> dict[str, Any]:
    """What the shards follow from: their digest names their folder in the store."""
    root = manifest.read(corpus.folder).origin  # an erasure changes the corpus, and not what followed from it
    return {"format": FORMAT, "corpus": root, "tokenizer": tokenizer.sha256, "file_bytes": file_bytes}


def write(
    corpus: Corpus, tokenizer: Tokenizer, *, store: Store, reporter: Reporter, file_bytes: int = FILE_BYTES
) -> Path:
    """Writes the shards of a corpus into the store and returns their folder; does nothing where they are there.

    Memory is bounded by one batch of the corpus. A stratum's stream is cut into files of ``file_bytes``. Raises
    DataError where the corpus has no training documents.
    """
    inputs = inputs_of(corpus, tokenizer, file_bytes=file_bytes)
    folder = store.folder(STAGE, inputs)
    if store.has(STAGE, inputs):
        return folder
    with store.build(STAGE, inputs) as partial:
        splits = {}
        choice = tokenizer.settle(list(check_texts(corpus)), reporter)
        for split in SPLITS:
            with reporter.bar(f"shards, {split}", _total(corpus, split), "B") as bar:
                splits[split] = _write_split(partial, split, corpus, tokenizer, file_bytes, bar)
        if not splits["train"]:
            raise DataError(
                "the corpus has no training documents", where=corpus.folder, fix="relax the policy or add sources"
            )
        write_json(
            partial / "index.json",
            {
                "format": FORMAT,
                "dtype": dtype_of(tokenizer.vocab_size).name,
                "vocab_size": tokenizer.vocab_size,
                "specials": tokenizer.specials,
                "tokenizer": tokenizer.sha256,
                "encoder": choice.record(),
                "encoding": {"byte_order": "little", "document": ["bos", "tokens", "eos"]},
                "splits": splits,
            },
        )
    return folder


def check_texts(corpus: Corpus) -> Iterator[str]:
    """The texts on which encoders are compared: beginnings of documents from all over the corpus."""
    parts = corpus.parts[:: -(-len(corpus.parts) // CHECKED_PARTS) or 1]
    for part in parts:
        batch = next(iter(corpus.texts(split="train", parts=[part], batch=CHECKED // len(parts))), None)
        yield from (text[:CHECKED_CHARACTERS] for text in (batch["text"].to_pylist() if batch else ()))


def dtype_of(vocab_size: int) -> np.dtype:
    """The smallest stored type: two bytes a token while the vocabulary allows it."""
    return np.dtype("<u2" if vocab_size <= 1 << 16 else "<u4")


def _total(corpus: Corpus, split: str) -> int:
    field_name = "bytes" if split == "train" else "held_out_bytes"
    return sum(int(stratum[field_name]) for stratum in corpus.strata)


def _write_split(
    folder: Path, split: str, corpus: Corpus, tokenizer: Tokenizer, file_bytes: int, bar: Bar
) -> list[dict[str, Any]]:
    """The index entries of one split, by stratum number."""
    (folder / split).mkdir()
    dtype = dtype_of(tokenizer.vocab_size)
    bos, eos = (np.array([tokenizer.specials[name]], dtype) for name in ("bos", "eos"))
    writers: dict[int, _Writer] = {}
    columns = ("id", "text", "stratum", "source", "domain", "language")
    keys: tuple[str, ...] = ("repeats", "band")
    more = {one["stratum"]: {key: one[key] for key in keys if key in one} for one in corpus.strata}
    media: dict[str, Any] = {"media": TOKENS} if (corpus.folder / "media").is_dir() else {}
    for batch in corpus.texts(split=split, **media):
        ids, texts, strata, *names = (batch.column(column).to_pylist() for column in columns)
        size = 0
        rows: dict[int, list[int]] = {}
        for row, stratum in enumerate(strata):
            rows.setdefault(stratum, []).append(row)
        encoded = tokenizer.encode_batch(texts)
        for row, data in enumerate(batch.column("media").to_pylist() if media else ()):
            if data is not None:
                encoded[row] = _as_made(data, tokenizer, bytes(ids[row]), corpus.folder)
        for stratum, own in rows.items():
            if stratum not in writers:
                entry = dict(zip(("source", "domain", "language"), (name[own[0]] for name in names), strict=True))
                entry |= more.get(stratum, {})
                writers[stratum] = _Writer(folder, split, stratum, entry, dtype, file_bytes // dtype.itemsize)
            text_bytes = sum(len(texts[row].encode()) for row in own)
            pieces = [part for row in own for part in (bos, encoded[row].astype(dtype), eos)]
            table = np.empty(len(own), DOCUMENT)
            table["id"] = np.frombuffer(b"".join(bytes(ids[row]) for row in own), np.uint8).reshape(-1, 16)
            table["tokens"] = [len(encoded[row]) + 2 for row in own]
            writers[stratum].append(np.concatenate(pieces), table, text_bytes)
            size += text_bytes
        bar.advance(size)
    return [writers[stratum].finish() for stratum in sorted(writers)]


def _as_made(data: bytes, tokenizer: Tokenizer, document: bytes, where: Path) -> np.ndarray:
    """Ids that were made elsewhere, without BOS and EOS around them, which every document gets here.

    Raises DataError where an id is not in the vocabulary.
    """
    ids = np.frombuffer(data, "<u4")
    if len(ids) and int(ids.max()) >= tokenizer.vocab_size:
        raise DataError(
            f"document {document.hex()} has the token id {ids.max()}, the vocabulary {tokenizer.vocab_size} tokens",
            where=where,
            fix="name the tokenizer that these files were made with, and their dtype",
        )
    begin = bool(len(ids)) and int(ids[0]) in (tokenizer.specials["bos"], tokenizer.specials["eos"])
    end = len(ids) > begin and int(ids[-1]) == tokenizer.specials["eos"]
    return ids[int(begin) : len(ids) - int(end)]


@dataclass
class _Writer:
    """Appends to one stratum's files. They are opened for each batch anew: there may be more strata than handles."""

    folder: Path
    split: str
    stratum: int
    names: dict[str, Any]
    dtype: np.dtype
    file_tokens: int
    files: list[dict[str, Any]] = field(default_factory=list)
    documents: int = 0
    text_bytes: int = 0

    def __post_init__(self) -> None:
        if self.file_tokens < 1:
            raise SeedstockError("a shard file must hold at least one token", fix="raise the size limit of files")
        self.table = f"{self.split}/{self.stratum:05d}.documents.npy"
        (self.folder / self.table).write_bytes(self._header())

    def append(self, tokens: np.ndarray, table: np.ndarray, text_bytes: int) -> None:
        """Adds documents: their tokens one after another, and their rows of the table."""
        while len(tokens):
            if not self.files or self.files[-1]["tokens"] == self.file_tokens:
                path = f"{self.split}/{self.stratum:05d}-{len(self.files):05d}.tokens"
                self.files.append({"path": path, "tokens": 0})
            file = self.files[-1]
            part, tokens = np.split(tokens, [self.file_tokens - file["tokens"]])
            with (self.folder / file["path"]).open("ab") as out:
                out.write(part.tobytes())
            file["tokens"] += len(part)
        with (self.folder / self.table).open("ab") as out:
            out.write(table.tobytes())
        self.documents += len(table)
        self.text_bytes += text_bytes

    def finish(self) -> dict[str, Any]:
        """Writes the true number of documents into the table's header; the stratum's entry of the index."""
        with (self.folder / self.table).open("r+b") as out:
            out.write(self._header())
        return {
            "stratum": self.stratum,
            **self.names,
            "tokens": sum(file["tokens"] for file in self.files),
            "documents": self.documents,
            "bytes": self.text_bytes,
            "files": self.files,
            "table": self.table,
        }

    def _header(self) -> bytes:
        """The head of an .npy file. numpy leaves room for the first axis to grow, so that its size stays the same."""
        from io import BytesIO

        head = BytesIO()
        description = np.lib.format.header_data_from_array_1_0(np.empty(0, DOCUMENT)) | {"shape": (self.documents,)}
        np.lib.format.write_array_header_1_0(head, description)
        return head.getvalue()
