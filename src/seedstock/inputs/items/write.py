"""Writing shards of items: the corpus's documents cut into arrays by stratum, with the tables that map them."""

from __future__ import annotations

import json
import os
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seedstock.corpus.media.types import Undecodable
from seedstock.errors import DataError
from seedstock.inputs.items.config import Document, InputConfig, Item
from seedstock.inputs.items.shards import PRESENT
from seedstock.inputs.shards import DOCUMENT, FORMAT
from seedstock.ledger import manifest
from seedstock.ledger.files import write_json

if TYPE_CHECKING:
    from seedstock.corpus import Corpus
    from seedstock.ledger.store import Store
    from seedstock.progress import Bar, Reporter

STAGE = "shards"
SPLITS = ("train", "held_out")
BATCH = 64  # documents that are read together: their media are in memory
HELD = 4 << 20  # bytes of a stratum's items in memory
SKIPPED = "skipped.jsonl"


def inputs_of(corpus: Corpus, config: InputConfig, tokenizer: Any = None) -> dict[str, Any]:
    """What the shards follow from: their digest names their folder in the store."""
    root = manifest.read(corpus.folder).origin
    about = {"format": FORMAT, "corpus": root, "input": config.model_dump(mode="json")}
    return about | ({"tokenizer": tokenizer.sha256} if config.tokenized else {})


def write(corpus: Corpus, config: InputConfig, tokenizer: Any = None, *, store: Store, reporter: Reporter) -> Path:
    """Writes the shards of a corpus into the store and returns their folder; does nothing where they are there.

    Documents are cut in threads, and written in the order of the corpus. What cannot be decoded is left out and listed
    in ``skipped.jsonl``. Memory is bounded by a few batches of documents. Raises DataError where nothing is left to
    train on.
    """
    inputs = inputs_of(corpus, config, tokenizer)
    folder = store.folder(STAGE, inputs)
    if store.has(STAGE, inputs):
        return folder
    with store.build(STAGE, inputs) as partial:
        splits: dict[str, Any] = {}
        skipped: list[dict[str, str]] = []
        work = _Work(config, tokenizer)
        if config.label:
            work.learn_labels(corpus)
            if not work.labels:
                reporter.say(f"   no training document has {config.label!r} in its meta: there are no classes")
        for split in SPLITS:
            total = sum(int(one["documents" if split == "train" else "held_out_documents"]) for one in corpus.strata)
            with reporter.bar(f"shards, {split}", total, "documents") as bar:
                splits[split] = _write_split(partial, split, corpus, work, skipped, bar)
        if not splits["train"]:
            raise DataError(
                f"the corpus has no training documents that give {config.unit}"
                + (f": {_told(skipped)}" * bool(skipped)),
                where=corpus.folder,
                fix="mend input, relax the policy, or add sources" if skipped else "relax the policy, or add sources",
            )
        if skipped:
            (partial / SKIPPED).write_text("".join(f"{json.dumps(line)}\n" for line in skipped))
            reporter.say(f"   {len(skipped):,} documents gave nothing: {_told(skipped)} ({folder / SKIPPED})")
        write_json(
            partial / "index.json",
            {
                "format": FORMAT,
                "unit": config.unit,
                "fields": {name: {"dtype": one.dtype, "shape": [*one.shape]} for name, one in config.fields().items()},
                "vocab_size": tokenizer.vocab_size if tokenizer else 0,
                "specials": tokenizer.specials if tokenizer else {},
                "tokenizer": tokenizer.sha256 if tokenizer else None,
                "labels": [*work.labels],
                "splits": splits,
            },
        )
    return folder


def _told(skipped: list[dict[str, str]]) -> str:
    """Why documents gave nothing: the two reasons that are met most often."""
    reasons = Counter(one["reason"] for one in skipped)
    told = [f"{reason} ({count:,})" for reason, count in reasons.most_common(2)]
    return "; ".join([*told, f"{len(reasons) - 2:,} other reasons"] if len(reasons) > 2 else told)


class _Work:
    """Cuts documents; numbers their labels in the order of the corpus."""

    def __init__(self, config: InputConfig, tokenizer: Any) -> None:
        self.config, self.tokenizer = config, tokenizer
        self.fields = config.fields()
        self.labels: dict[str, int] = {}

    def learn_labels(self, corpus: Corpus) -> None:
        """Numbers the labels of the training documents, in the order of their names."""
        found: set[str] = set()
        for batch in corpus.texts(split="train", more=("meta",)):
            found |= {self.label(json.loads(meta or "{}")) or "" for meta in batch.column("meta").to_pylist()}
        self.labels = {name: number for number, name in enumerate(sorted(found - {""}))}

    def label(self, meta: dict[str, Any]) -> str | None:
        """What the meta says of a document's class."""
        value = meta.get(self.config.label) if self.config.label else None
        return None if value is None else str(value)

    def document(self, row: dict[str, Any]) -> Document:
        """A row of the corpus as the configuration is handed it."""
        meta = json.loads(row["meta"] or "{}")
        number = self.labels.get(self.label(meta) or "", -1)
        return Document(row["media"], row["text"], row["language"], meta, number)

    def cut(self, document: Document) -> list[Item] | str:
        """The items, or why there are none."""
        try:
            found = [self._checked(item) for item in self.config.items(document, self.tokenizer)]
        except Undecodable as error:
            return str(error)
        lacking = self.config.media if document.media is None else None
        return found or (f"it has no {lacking.rstrip('/')} beside its text" if lacking else "it gives nothing")

    def _checked(self, item: Item) -> Item:
        found = {}
        for name, one in self.fields.items():
            value = np.asarray(item[name])
            if value.shape != one.shape:
                raise ValueError(f"{self.config.kind}: {name} has the shape {value.shape}, not {one.shape}")
            found[name] = value.astype(one.dtype)
        return found


def _write_split(
    folder: Path, split: str, corpus: Corpus, work: _Work, skipped: list[dict[str, str]], bar: Bar
) -> list[dict[str, Any]]:
    """The index entries of one split, by stratum number."""
    (folder / split).mkdir()
    more = {one["stratum"]: {key: one[key] for key in ("repeats", "band") if key in one} for one in corpus.strata}
    writers: dict[int, _Writer] = {}
    for row, found in _cut(corpus, split, work):
        bar.advance(1)
        if isinstance(found, str):
            skipped.append({"id": bytes(row["id"]).hex(), "split": split, "reason": found})
            continue
        stratum = row["stratum"]
        if stratum not in writers:
            about = {name: row[name] for name in ("source", "domain", "language")} | more.get(stratum, {})
            writers[stratum] = _Writer(folder, split, stratum, about)
        writers[stratum].append(bytes(row["id"]), found, len(row["media"] or b"") + len(row["text"].encode()))
    return [writers[stratum].finish() for stratum in sorted(writers)]


def _cut(corpus: Corpus, split: str, work: _Work) -> Iterator[tuple[dict[str, Any], list[Item] | str]]:
    """Each document of a split with what it gives, in order, cut ahead of time by threads."""
    waiting: deque[tuple[dict[str, Any], Future[list[Item] | str]]] = deque()
    pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="items")
    try:
        for batch in corpus.texts(split=split, batch=BATCH, media=work.config.media or "-", more=("meta",)):
            for row in batch.to_pylist():
                waiting.append((row, pool.submit(work.cut, work.document(row))))
            while len(waiting) > 2 * BATCH:
                row, made = waiting.popleft()
                yield row, made.result()
        while waiting:
            row, made = waiting.popleft()
            yield row, made.result()
    finally:
        pool.shutdown(cancel_futures=True)  # who interrupts waits for what is being cut, not for all that is queued


@dataclass
class _Writer:
    """Appends to one stratum's files. They are opened for many items at once: there may be more strata than handles."""

    folder: Path
    split: str
    stratum: int
    about: dict[str, Any]
    rows: list[tuple[bytes, int]] = field(default_factory=list)
    paths: dict[str, str] = field(default_factory=dict)
    size: int = 0
    waiting: list[Item] = field(default_factory=list)
    held: int = 0

    def append(self, identity: bytes, items: list[Item], size: int) -> None:
        """Adds a document's items."""
        self.waiting += items
        self.held += sum(value.nbytes for item in items for value in item.values())
        self.rows.append((identity, len(items)))
        self.size += size
        if self.held > HELD:
            self.flush()

    def flush(self) -> None:
        """Writes the items that are held."""
        arrays = {name: np.stack([item[name] for item in self.waiting]) for name in self.waiting[0]}
        for name, values in {**arrays, PRESENT: np.ones(len(self.waiting), "|u1")}.items():
            path = self.paths.setdefault(name, f"{self.split}/{self.stratum:05d}.{name}.bin")
            with (self.folder / path).open("ab") as out:
                out.write(np.ascontiguousarray(values).tobytes())
        self.waiting, self.held = [], 0

    def finish(self) -> dict[str, Any]:
        """Writes the table of documents; the stratum's entry of the index."""
        if self.waiting:
            self.flush()
        table = np.empty(len(self.rows), DOCUMENT)
        table["id"] = np.frombuffer(b"".join(identity for identity, _ in self.rows), np.uint8).reshape(-1, 16)
        table["tokens"] = [count for _, count in self.rows]
        path = f"{self.split}/{self.stratum:05d}.documents.npy"
        np.save(self.folder / path, table)
        return {
            "stratum": self.stratum,
            **self.about,
            "items": int(table["tokens"].sum()),
            "documents": len(self.rows),
            "bytes": self.size,
            "fields": self.paths,
            "table": path,
        }
