"""A shard task: partitions of one source become pieces of the documents table and of every signal's table.

A task is done by any process, at any time, with the same result. It works in a folder of its own: the tables of piece
``00000`` are written one by one (beside, synced, renamed), then ``00000.json`` commits them; ``read.json`` says that
the source was read to its end. What is committed is not done again.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from seedstock import kinds
from seedstock.corpus import tables
from seedstock.corpus.documents import Reader, Rows, schema
from seedstock.corpus.extract.config import VERSION as EXTRACTION
from seedstock.corpus.extract.config import ExtractConfig
from seedstock.corpus.extract.items import extracted
from seedstock.corpus.signals.base import Signal
from seedstock.corpus.sources.base import Item, Partition, Source, Unreadable
from seedstock.errors import DataError, SeedstockError
from seedstock.ledger.files import read_json, write_json
from seedstock.ledger.ids import digest, keyed, sha256_file

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 1
SILENCE = 5.0  # seconds after which a reader says that it is alive: one that fetches is slow, and not stuck
# ("read", partition), and where that killed: ("read", partition, item) while the source gives an item, ("item",
# partition, item) while a row is made of it; ("write", piece); (signal, piece, first row, last row + 1).
Place = tuple[Any, ...]


@dataclass(frozen=True)
class Task:
    """What to read and find out, and where to put it; travels to workers by pickle."""

    source: Source
    partitions: tuple[Partition, ...]
    signals: tuple[Signal, ...]
    work: Path
    key: bytes
    piece_bytes: int
    tail: float = 0.0
    extract: ExtractConfig = field(default_factory=ExtractConfig)
    forgotten: frozenset[bytes] = frozenset()

    @property
    def digest(self) -> str:
        """Of everything that decides the documents table: inputs, the source's version and configuration."""
        record = {
            "format": FORMAT,
            "source": self.source.model_dump(mode="json"),
            "version": self.source.version,
            "provider": provider("sources", self.source.kind),
            "partitions": [[part.name, part.fingerprint, part.budget] for part in self.partitions],
            "key": keyed(self.key, "task").hex(),
            "piece_bytes": self.piece_bytes,
            "tail": self.tail,
            "extract": [EXTRACTION, self.extract.model_dump(mode="json")],
            "forgotten": sorted(number.hex() for number in self.forgotten),
        }
        return digest(record)

    @property
    def folder(self) -> Path:
        return self.work / self.digest[:32]

    @property
    def bytes(self) -> int:
        return sum(part.bytes for part in self.partitions)

    def pieces(self) -> list[dict[str, Any]] | None:
        """The commit records of all pieces, or None where the task is not done."""
        if not (self.folder / "read.json").exists():
            return None
        paths = [self.folder / f"{index:05d}.json" for index in range(read_json(self.folder / "read.json")["pieces"])]
        return [read_json(path) for path in paths] if all(path.exists() for path in paths) else None

    def table(self, piece: int, name: str) -> Path:
        """Where a piece's table lies; ``name`` is "documents", "media", "maps" or a signal's name and version."""
        return self.folder / f"{piece:05d}.{name}.parquet"


@dataclass
class Findings:
    """What earlier attempts showed: ranges of rows that killed a worker, and who is known to be guilty."""

    suspects: set[Place] = field(default_factory=set)
    guilty: dict[Place, str] = field(default_factory=dict)

    def accuse(self, place: Place, reason: str) -> None:
        """Notes that a worker died at a place; one that is a single item or row, and killed twice, is guilty."""
        single = len(place) == 3 or (len(place) == 4 and place[3] - place[2] == 1)
        if single and place in self.suspects:
            self.guilty[place] = reason
        self.suspects.add(place)

    def steps(self) -> set[str]:
        return {place[0] for place in (*self.suspects, *self.guilty)}


@cache
def provider(group: str, kind: str) -> dict[str, str] | None:
    """The package, version and digest behind a kind from outside; None for our own, whose ``version`` tells enough."""
    if kind in kinds.TABLE[group] or kind not in kinds.names(group):
        return None
    return kinds.provider(group, kind)


def versioned(signal: Signal) -> str:
    """``gopher@1``."""
    return f"{signal.name}@{signal.version}"


def run(task: Task, at: Callable[[Place], None], findings: Findings | None = None) -> None:
    """Does what is not yet done of a task; ``at`` is told of each step before it is taken.

    Raises SeedstockError where the task cannot be done at all (a full disk, a signal that breaks its contract).
    """
    findings = findings or Findings()
    task.folder.mkdir(parents=True, exist_ok=True)
    marker = task.folder / "read.json"
    known = read_json(marker) if marker.exists() else None
    count = 0
    for piece, rows in enumerate(_stored(task, known) if known else _read(task, at, findings)):
        count += 1
        commit = task.folder / f"{piece:05d}.json"
        if commit.exists():
            continue
        ready = known["ready"] if known else []
        _piece(task, piece, rows, ready, commit, at, findings)
    if not known:
        write_json(marker, {"pieces": count, "ready": []})


def _stored(task: Task, known: dict[str, Any]) -> Iterator[Rows | pa.Table]:
    import pyarrow.parquet as pq

    return (pq.read_table(task.table(piece, "documents")) for piece in range(known["pieces"]))


def _piece(
    task: Task,
    piece: int,
    rows: Rows | pa.Table,
    ready: list[str],
    commit: Path,
    at: Callable[[Place], None],
    findings: Findings,
) -> None:
    at(("write", piece))
    documents = rows.table() if isinstance(rows, Rows) else rows
    if isinstance(rows, Rows):
        tables.write(task.table(piece, "documents"), documents)
        if (media := rows.media_table()) is not None:
            tables.write(task.table(piece, "media"), media, tables.MEDIA_GROUP)
        if (maps := rows.map_table()) is not None:
            tables.write(task.table(piece, "maps"), maps)
    failures: list[dict[str, Any]] = []
    # The step under suspicion goes first: a worker that may die has then done little in vain.
    for signal in sorted(task.signals, key=lambda signal: signal.name not in findings.steps()):
        if versioned(signal) not in ready:
            found, failed = compute(signal, documents, piece, at, findings)
            tables.write(task.table(piece, versioned(signal)), found)
            failures += failed
    names = ["documents", *map(versioned, task.signals)]
    names += [name for name in tables.BESIDE if task.table(piece, name).exists()]
    write_json(
        commit,
        {
            "rows": documents.num_rows,
            "quarantine": rows.quarantine if isinstance(rows, Rows) else [],
            "failures": sorted(failures, key=lambda failure: (failure["row"], failure["step"])),
            "sha256": {name: sha256_file(task.table(piece, name)) for name in names},
        },
    )


def _read(task: Task, at: Callable[[Place], None], findings: Findings) -> Iterator[Rows]:
    reader = Reader(task.source, task.key, task.forgotten, task.tail)
    return reader.rows(extracted(_items(task, at, findings), task.extract), task.piece_bytes)


def _items(task: Task, at: Callable[[Place], None], findings: Findings) -> Iterator[Item | Unreadable]:
    for number, partition in enumerate(task.partitions):
        # Where the partition killed a worker, each item is told of: the guilty one is known by its number.
        closely = ("read", number) in findings.suspects
        at(("read", number))
        taken = count = 0
        told = monotonic()
        try:
            items = iter(task.source.read(partition))
            while True:
                if reason := findings.guilty.get(("read", number, count)):
                    yield Unreadable(partition.name, _stopped(count, reason) if count else reason)
                    break
                if closely:
                    at(("read", number, count))
                if (item := next(items, None)) is None:
                    break
                if partition.budget is not None and isinstance(item, Item):
                    taken += len(item.raw if item.raw is not None else (item.text or "").encode(errors="replace"))
                    taken += len(item.media or b"")
                    if taken > partition.budget:
                        break
                if closely:
                    at(("item", number, count))
                reason = findings.guilty.get(("item", number, count))
                yield Unreadable(item.locator, reason) if reason else item
                count += 1
                if count % 64 == 0 or monotonic() - told > SILENCE:
                    told = monotonic()
                    at(("read", number))
        except SeedstockError:
            raise
        except Exception as error:
            yield Unreadable(partition.name, _stopped(count, described(error)))


def _stopped(count: int, reason: str) -> str:
    return f"reading stopped after {count} documents: {reason}"


def compute(
    signal: Signal, documents: pa.Table, piece: int, at: Callable[[Place], None], findings: Findings
) -> tuple[pa.Table, list[dict[str, Any]]]:
    """A signal's table over all rows, and its failures; a row on which it fails is null in every column."""
    import pyarrow as pa

    measure = _Measure(signal, documents, piece, at, findings)
    batches = [
        found
        for start in range(0, documents.num_rows, signal.most)
        for found in measure.attempt(start, min(start + signal.most, documents.num_rows))
    ]
    table = pa.Table.from_batches(batches, schema=measure.expected)
    return table.add_column(0, schema().field("text_sha256"), documents["text_sha256"]), measure.failures


class _Measure:
    """A signal over runs of rows; runs that break it are divided down to the guilty row."""

    def __init__(
        self, signal: Signal, documents: pa.Table, piece: int, at: Callable[[Place], None], findings: Findings
    ) -> None:
        self.signal, self.documents, self.piece, self.at, self.findings = signal, documents, piece, at, findings
        self.expected = signal.schema()
        self.failures: list[dict[str, Any]] = []

    def attempt(self, start: int, stop: int) -> list[pa.RecordBatch]:
        place = (self.signal.name, self.piece, start, stop)
        if place in self.findings.guilty:
            return self._failed(start, self.findings.guilty[place])
        if place in self.findings.suspects and stop - start > 1:
            # A death costs a worker's start, a row next to nothing: one by one, the guilty one is known at once.
            return [found for row in range(start, stop) for found in self.attempt(row, row + 1)]
        self.at(place)
        batch = self.documents.slice(start, stop - start).combine_chunks().to_batches()[0]
        try:
            found = self.signal.compute(batch)
        except SeedstockError:
            raise
        except Exception as error:
            if stop - start == 1:
                return self._failed(start, described(error))
            middle = (start + stop) // 2
            return [*self.attempt(start, middle), *self.attempt(middle, stop)]
        if found.num_rows != batch.num_rows or found.schema != self.expected:
            raise DataError(
                f"the signal gave {found.num_rows} rows of {found.schema.names} for {batch.num_rows} documents; "
                f"{self.expected.names} were promised",
                where=f"signal {self.signal.name!r}",
                fix="mend its compute() or its columns",
            )
        return [found]

    def _failed(self, row: int, reason: str) -> list[pa.RecordBatch]:
        import pyarrow as pa

        self.failures.append({"row": row, "step": self.signal.name, "reason": reason})
        return [pa.RecordBatch.from_arrays([pa.nulls(1, field.type) for field in self.expected], schema=self.expected)]


def described(error: BaseException) -> str:
    """An exception and where it came from, without this machine's paths."""
    frames = [
        f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    text = str(error).splitlines()
    return f"{type(error).__name__}: {text[0][:500] if text else ''} [{' > '.join(frames[-5:])}]"
