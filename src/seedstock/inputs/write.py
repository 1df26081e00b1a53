"""Writing shards: the corpus's texts as token streams by stratum, with the tables that map them to documents."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seedstock.corpus.media.types import TOKENS
from seedstock.errors import DataError, SeedstockError
from seedstock.inputs.scores import Scores
from seedstock.inputs.shards import DOCUMENT, FORMAT, SCORE
from seedstock.ledger import manifest
from seedstock.ledger.files import write_json

if TYPE_CHECKING:
    from seedstock.corpus import Corpus
    from seedstock.inputs.picture_codes import Pictures
    from seedstock.inputs.tokenizers import Tokenizer
    from seedstock.ledger.store import Store
    from seedstock.progress import Bar, Reporter

STAGE = "shards"
SPLITS = ("train", "held_out")
FILE_BYTES = 1 << 30
PICTURES = 256  # documents with media that are read together
SKIPPED = "skipped.jsonl"
CHECKED, CHECKED_PARTS, CHECKED_CHARACTERS = 256, 16, 4096  # texts, parts of the corpus, characters of a text


def inputs_of(
    corpus: Corpus,
    tokenizer: Tokenizer,
    *,
    file_bytes: int = FILE_BYTES,
    scores: Sequence[str] = (),
    pictures: Pictures | None = None,
) -> dict[str, Any]:
    """What the shards follow from: their digest names their folder in the store."""
    root = manifest.read(corpus.folder).origin  # an erasure changes the corpus, and not what followed from it
    named: dict[str, Any] = {"scores": list(scores)} if scores else {}
    named |= {pictures.config.field: pictures.record()} if pictures is not None else {}
    return {"format": FORMAT, "corpus": root, "tokenizer": tokenizer.sha256, "file_bytes": file_bytes, **named}


def write(
    corpus: Corpus,
    tokenizer: Tokenizer,
    *,
    store: Store,
    reporter: Reporter,
    file_bytes: int = FILE_BYTES,
    scores: Sequence[str] = (),
    pictures: Pictures | None = None,
) -> Path:
    """Writes the shards of a corpus into the store and returns their folder; does nothing where they are there.

    Memory is bounded by one batch of the corpus. A stratum's stream is cut into files of ``file_bytes``. ``scores`` go
    along with every document (``inputs.scores``). ``pictures`` writes those that documents have as codes, or
    other media (``sound_codes``); one that cannot be decoded is left out of its document and listed in
    ``skipped.jsonl``. Raises DataError where the corpus has
    no training documents, or none with one of the scores.
    """
    inputs = inputs_of(corpus, tokenizer, file_bytes=file_bytes, scores=scores, pictures=pictures)
    folder = store.folder(STAGE, inputs)
    if store.has(STAGE, inputs):
        return folder
    with store.build(STAGE, inputs) as partial:
        splits = {}
        choice = tokenizer.settle(list(check_texts(corpus)), reporter)
        beside = Scores(scores, corpus.folder)
        skipped: list[dict[str, str]] = []
        for split in SPLITS:
            with reporter.bar(f"shards, {split}", _total(corpus, split), "B") as bar:
                splits[split] = _write_split(
                    partial, split, corpus, tokenizer, file_bytes, bar, beside, pictures, skipped
                )
        if not splits["train"]:
            raise DataError(
                "the corpus has no training documents", where=corpus.folder, fix="relax the policy or add sources"
            )
        beside.check("train")
        if skipped:
            (partial / SKIPPED).write_text("".join(f"{json.dumps(line)}\n" for line in skipped))
            reporter.say(f"   the media of {len(skipped):,} documents cannot be decoded: {folder / SKIPPED}")
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
                **({"scores": list(scores)} if scores else {}),
                **({pictures.config.field: pictures.record()} if pictures is not None else {}),
                **({"values": beside.values} if beside.values else {}),
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
    folder: Path,
    split: str,
    corpus: Corpus,
    tokenizer: Tokenizer,
    file_bytes: int,
    bar: Bar,
    beside: Scores,
    pictures: Pictures | None,
    skipped: list[dict[str, str]],
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
    if media and pictures is not None:
        media = {"media": pictures.media, "batch": PICTURES}  # their bytes are in memory
    asked: dict[str, Any] = {"scores": beside.signals} if beside.signals else {}
    for batch in corpus.texts(split=split, **media, **asked):
        ids, texts, strata, *names = (batch.column(column).to_pylist() for column in columns)
        size = 0
        scores = beside.rows(split, batch) if beside.names else None
        rows: dict[int, list[int]] = {}
        for row, stratum in enumerate(strata):
            rows.setdefault(stratum, []).append(row)
        encoded = tokenizer.encode_batch(texts)
        if pictures is not None and media:
            encoded, broken = pictures.written(ids, encoded, batch.column("media").to_pylist())
            skipped += [{"id": bytes(ids[row]).hex(), "split": split, "reason": pictures.missing} for row in broken]
        for row, data in enumerate(batch.column("media").to_pylist() if media and pictures is None else ()):
            if data is not None:
                encoded[row] = _as_made(data, tokenizer, bytes(ids[row]), corpus.folder)
        for stratum, own in rows.items():
            if stratum not in writers:
                entry = dict(zip(("source", "domain", "language"), (name[own[0]] for name in names), strict=True))
                entry |= more.get(stratum, {})
                limit = file_bytes // dtype.itemsize
                writers[stratum] = _Writer(folder, split, stratum, entry, dtype, limit, len(beside.names))
            text_bytes = sum(len(texts[row].encode()) for row in own)
            pieces = [part for row in own for part in (bos, encoded[row].astype(dtype), eos)]
            table = np.empty(len(own), DOCUMENT)
            table["id"] = np.frombuffer(b"".join(bytes(ids[row]) for row in own), np.uint8).reshape(-1, 16)
            table["tokens"] = [len(encoded[row]) + 2 for row in own]
            writers[stratum].append(np.concatenate(pieces), table, text_bytes, None if scores is None else scores[own])
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
    scores: int = 0
    files: list[dict[str, Any]] = field(default_factory=list)
    documents: int = 0
    text_bytes: int = 0

    def __post_init__(self) -> None:
        if self.file_tokens < 1:
            raise SeedstockError("a shard file must hold at least one token", fix="raise the size limit of files")
        self.table = f"{self.split}/{self.stratum:05d}.documents.npy"
        self.beside = f"{self.split}/{self.stratum:05d}.scores.npy"
        self._write_headers()

    def append(self, tokens: np.ndarray, table: np.ndarray, text_bytes: int, scores: np.ndarray | None = None) -> None:
        """Adds documents: tokens one after another, their rows of the table, and of scores where there are any."""
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
        if scores is not None:
            with (self.folder / self.beside).open("ab") as out:
                out.write(scores.astype(SCORE).tobytes())
        self.documents += len(table)
        self.text_bytes += text_bytes

    def finish(self) -> dict[str, Any]:
        """Writes the true number of documents into the tables' headers; the stratum's entry of the index."""
        self._write_headers()
        return {
            "stratum": self.stratum,
            **self.names,
            "tokens": sum(file["tokens"] for file in self.files),
            "documents": self.documents,
            "bytes": self.text_bytes,
            "files": self.files,
            "table": self.table,
            **({"scores": self.beside} if self.scores else {}),
        }

    def _write_headers(self) -> None:
        """The heads of .npy files. numpy leaves room for the first axis to grow, so that their sizes stay the same."""
        from io import BytesIO

        tables = {self.table: np.empty(0, DOCUMENT)}
        if self.scores:
            tables[self.beside] = np.empty((0, self.scores), SCORE)
        for name, empty in tables.items():
            head = BytesIO()
            shape = (self.documents, *empty.shape[1:])
            np.lib.format.write_array_header_1_0(
                head, np.lib.format.header_data_from_array_1_0(empty) | {"shape": shape, "fortran_order": False}
            )
            path = self.folder / name
            with path.open("r+b" if path.exists() else "wb") as out:
                out.write(head.getvalue())
