"""The finished pieces of the shard tasks, in their final order, and how they become the parts of a corpus folder."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seedstock.corpus import tables
from seedstock.corpus.sources.base import Partition, Source
from seedstock.corpus.tasks import Task, provider, versioned
from seedstock.ledger.files import write_json, write_text
from seedstock.ledger.ids import digest, sha256_file

if TYPE_CHECKING:
    import pyarrow as pa

TASKS = "tasks.jsonl"
PIECES = 16  # of a small corpus: enough to share between cores, few enough to be quick
LARGEST = 16 * 2**20  # bytes of text in a piece; with its signals it is what a worker holds in memory
SMALLEST = 2**20


def plan(listed: Sequence[tuple[Source, list[Partition]]], **given: Any) -> list[Task]:
    """The shard tasks over the sources' partitions: small partitions together, large ones alone."""
    total = sum(part.bytes for _, partitions in listed for part in partitions)
    size = min(LARGEST, max(SMALLEST, total // PIECES))
    tasks = []
    for source, partitions in listed:
        group: list[Partition] = []
        for partition in partitions:
            if group and sum(part.bytes for part in group) + partition.bytes > size:
                tasks.append(Task(source, tuple(group), piece_bytes=size, **given))
                group = []
            group.append(partition)
        if group:
            tasks.append(Task(source, tuple(group), piece_bytes=size, **given))
    return tasks


@dataclass(frozen=True)
class Piece:
    """One part-to-be: which piece of which task, with its commit record, and its first row in the corpus."""

    task: Task
    index: int
    record: dict[str, Any]
    first: int

    @property
    def rows(self) -> int:
        return self.record["rows"]

    def documents(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The documents, or some columns of them."""
        import pyarrow.parquet as pq

        path = self.task.table(self.index, "documents")
        return pq.read_table(path, columns=columns and list(columns), use_threads=False)

    def media_types(self) -> np.ndarray:
        """The MIME type of each row's media, None where it has none: object [rows]."""
        import pyarrow.parquet as pq

        if "media" not in self.record["sha256"]:
            return np.full(self.rows, None, object)
        kinds = pq.read_table(self.task.table(self.index, "media"), columns=["media_type"])["media_type"]
        return np.array(kinds.to_pylist(), object)

    def signal(self, name: str) -> pa.Table:
        """The table of one signal ("gopher@1")."""
        import pyarrow.parquet as pq

        return pq.read_table(self.task.table(self.index, name), use_threads=False)


def finished(tasks: Sequence[Task]) -> tuple[list[Piece], list[dict[str, Any]]]:
    """The pieces that hold documents, in the order of the sources, and what could not be read."""
    pieces: list[Piece] = []
    quarantine: list[dict[str, Any]] = []
    first = 0
    for task in tasks:
        for index, record in enumerate(task.pieces() or []):
            quarantine += record["quarantine"]
            if record["rows"]:
                pieces.append(Piece(task, index, record, first))
                first += record["rows"]
    return pieces, quarantine


def assemble(folder: Path, tasks: Sequence[Task], pieces: Sequence[Piece]) -> None:
    """Puts every piece's tables in their places in the corpus folder, and writes down which task made them."""
    numbers = {(piece.task.digest, piece.index): number for number, piece in enumerate(pieces)}
    lines = []
    for task in tasks:
        records = task.pieces() or []
        for index in range(len(records)):
            if (number := numbers.get((task.digest, index))) is not None:
                for name in records[index]["sha256"]:
                    link(task.table(index, name), _place(folder, name, number))
        lines.append(
            {
                "task": task.digest,
                "source": task.source.name,
                "signals": {versioned(signal): _key(task, signal) for signal in task.signals},
                "parts": [numbers.get((task.digest, index)) for index in range(len(records))],
                "rows": [record["rows"] for record in records],
                "sha256": [record["sha256"] for record in records],
                # What failed is looked at again: another build may have other luck.
                "clean": not any(record["quarantine"] or record["failures"] for record in records),
            }
        )
    write_text(folder / TASKS, "".join(json.dumps(line, sort_keys=True) + "\n" for line in lines))


def reuse(tasks: Sequence[Task], corpora: Sequence[Path]) -> int:
    """Takes over what earlier corpora hold of these tasks, where the files are still what was recorded.

    Returns how many tasks need not read their source.
    """
    known: dict[str, list[tuple[Path, dict[str, Any]]]] = {}
    for corpus in corpora:
        for line in _lines(corpus / TASKS):
            known.setdefault(line["task"], []).append((corpus, line))
    taken = 0
    for task in tasks:
        if not (task.folder / "read.json").exists():
            taken += any(_take(task, corpus, line) for corpus, line in known.get(task.digest, []))
    return taken


def _take(task: Task, corpus: Path, line: dict[str, Any]) -> bool:
    if not line["clean"] or None in line["parts"] or not _whole(corpus, line, "documents"):
        return False
    beside = {name: [at for at, sums in enumerate(line["sha256"]) if name in sums] for name in tables.BESIDE}
    if not all(_whole(corpus, line, name, indices) for name, indices in beside.items()):
        return False
    same = [versioned(s) for s in task.signals if line["signals"].get(versioned(s)) == _key(task, s)]
    ready = [name for name in same if _whole(corpus, line, name)]
    task.folder.mkdir(parents=True, exist_ok=True)
    for index, number in enumerate(line["parts"]):
        for name in ("documents", *ready):
            link(_place(corpus, name, number), task.table(index, name))
        for name in (name for name, indices in beside.items() if index in indices):
            link(_place(corpus, name, number), task.table(index, name))
    write_json(task.folder / "read.json", {"pieces": len(line["parts"]), "ready": ready})
    return True


def _whole(corpus: Path, line: dict[str, Any], name: str, indices: Sequence[int] | None = None) -> bool:
    """Whether the files of a table are what was recorded: of all pieces, or of some."""
    with contextlib.suppress(OSError, KeyError):
        return all(
            sha256_file(_place(corpus, name, line["parts"][index])) == line["sha256"][index][name]
            for index in (range(len(line["parts"])) if indices is None else indices)
        )
    return False


def _key(task: Task, signal: Any) -> str:
    configuration = signal.model_dump(mode="json")
    return digest([task.digest, versioned(signal), provider("signals", signal.kind), configuration])


def _place(folder: Path, name: str, number: int) -> Path:
    return folder / (name if name in ("documents", *tables.BESIDE) else f"signals/{name}") / tables.part(number)


def link(old: Path, new: Path) -> None:
    """A second name for a file, which costs no room; files are replaced, never written into."""
    new.parent.mkdir(parents=True, exist_ok=True)
    new.unlink(missing_ok=True)
    try:
        os.link(old, new)
    except OSError:
        shutil.copyfile(old, new)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with contextlib.suppress(OSError, ValueError):
        for line in path.read_text(encoding="utf-8").splitlines():
            yield json.loads(line)
