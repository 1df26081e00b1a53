"""What is decided about every document, phase by phase: each row gets its decision, with phase, step and reason."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seedstock.corpus import duplicates, split
from seedstock.corpus import edits as edits_
from seedstock.corpus.config import CorpusConfig
from seedstock.corpus.documents import FORGOTTEN
from seedstock.corpus.media.types import TOKENS
from seedstock.corpus.pieces import Piece
from seedstock.corpus.policy import LICENCE
from seedstock.corpus.tasks import versioned
from seedstock.progress import Reporter

if TYPE_CHECKING:
    import pyarrow as pa

UNDETERMINED = "und"
FAILED = "the signal failed on it (see quarantine.jsonl)"
KEPT, CHANGED, DROPPED = "kept", "changed", "dropped"


class Phases:
    """The state of a corpus between reading and writing: light columns over all rows, text one piece at a time.

    ``dropped`` bool, ``phase``, ``step``, ``reason``, ``language`` str, ``cluster`` and ``cluster_size`` int64,
    ``repeats`` int32, ``split`` str, ``changed``, ``media`` (whether it has any) and ``tokens`` (whether they are
    token ids in the place of a text) bool: all [rows].
    """

    def __init__(
        self,
        pieces: Sequence[Piece],
        config: CorpusConfig,
        seed: int,
        reporter: Reporter,
        *,
        against: Sequence[duplicates.EarlierCorpus] = (),
        work: Path | None = None,
        workers: int = 1,
    ) -> None:
        self.pieces, self.config, self.seed, self.reporter = pieces, config, seed, reporter
        self.against, self.work, self.workers = against, work, workers
        self.rows = sum(piece.rows for piece in pieces)
        self.dropped = np.zeros(self.rows, bool)
        self.changed = np.zeros(self.rows, bool)
        self.phase, self.step, self.reason, self.split = (np.full(self.rows, "", object) for _ in range(4))
        self.language = np.full(self.rows, UNDETERMINED, object)
        self.cluster = np.full(self.rows, -1, np.int64)
        self.cluster_size = np.ones(self.rows, np.int64)
        self.repeats = np.ones(self.rows, np.int32)
        self.duplicates: duplicates.Found | None = None
        types = np.concatenate([np.zeros(0, object), *(piece.media_types() for piece in pieces)])
        self.media, self.tokens = types.astype(bool), types == TOKENS
        self.edits: list[list[tuple[int, list[edits_.Edit]]]] = [[] for _ in pieces]
        self.failures: list[dict[str, Any]] = []

    @cached_property
    def light(self) -> pa.Table:
        """Every column of the documents but the text, over all rows."""
        import pyarrow as pa

        names = ("id", "source", "locator", "domain", "meta", "raw_sha256", "text_sha256", "bytes")
        return pa.concat_tables([piece.documents(names) for piece in self.pieces]).combine_chunks()

    def run(self) -> None:
        """All phases, in their fixed order."""
        self.read()
        self.filter()
        self.dedup()
        self.hold_out()
        self.decontaminate()
        self.edit()

    def drop(self, rows: np.ndarray | int, phase: str, step: Any, reason: Any) -> None:
        """Marks rows that are not dropped yet."""
        self.dropped[rows] = True
        self.phase[rows], self.step[rows], self.reason[rows] = phase, step, reason

    def read(self) -> None:
        """Rows without text, rows that were read before, and those that a signal failed on."""
        light = self.light
        forgotten = np.array(light["locator"].to_pylist(), object) == FORGOTTEN
        forgotten &= np.array(light["bytes"]) == 0
        self.drop(forgotten, "read", "forget", "forgotten")
        empty = ~forgotten & ~self.media & (np.array(light["bytes"]) == 0)
        self.drop(empty, "read", "empty", "there is no text")
        seen: set[tuple[bytes, bytes]] = set()
        for row, pair in enumerate(zip(light["id"].to_pylist(), light["text_sha256"].to_pylist(), strict=True)):
            if pair in seen and not self.dropped[row]:
                self.drop(row, "read", "repeat", "the same text was read before at the same place")
            seen.add(pair)
        for piece in self.pieces:
            for failure in piece.record["failures"]:
                row = piece.first + failure["row"]
                about = {name: light[name][row].as_py() for name in ("source", "locator")}
                self.failures.append(
                    {
                        "id": light["id"][row].as_py().hex(),
                        **about,
                        "phase": "filter",
                        "step": failure["step"],
                        "reason": failure["reason"],
                    }
                )
                if not self.dropped[row]:
                    self.drop(row, "filter", failure["step"], FAILED)

    def filter(self) -> None:
        """Asks the policy, and finds each document's language."""
        with self.reporter.bar("deciding", len(self.pieces), "parts") as bar:
            for piece in self.pieces:
                rows = self._alive(piece)
                documents, signals = self._tables(piece, rows)
                self.language[rows] = _languages(documents, signals)
                decided = self.config.policy.decide(documents, signals)
                gone = np.array(decided.column("decision").to_pylist(), object) == DROPPED
                steps, reasons = (np.array(decided.column(name).to_pylist(), object) for name in ("step", "reason"))
                gone &= ~self.tokens[rows] | (steps == LICENCE)  # there is no text that a rule could measure
                self.drop(rows[gone], "filter", steps[gone], reasons[gone])
                bar.advance()

    def dedup(self) -> None:
        """Keeps one of each cluster of duplicates among the survivors, and none of what an earlier corpus kept."""
        if self.config.dedup is None:
            return
        alive = [(piece, self._alive(piece)) for piece in self.pieces]
        found = duplicates.find(
            self.config.dedup, alive, self.media, self.against, self.work, self.workers, self.reporter
        )
        clusters, rows = found.clusters, found.survivors
        self.duplicates = found
        self.cluster[rows], self.cluster_size[rows] = clusters.cluster_of, clusters.size_of
        self.repeats = duplicates.repeats(self.config.dedup, self.cluster_size)
        out = ~clusters.representative
        self.drop(rows[out], "dedup", clusters.kind[out], found.reasons()[out])

    def hold_out(self) -> None:
        """Draws the held-out split, or takes the tails of documents that were cut."""
        kept = ~self.dropped
        if self.config.tail:
            parts = np.array([json.loads(meta).get("part", split.TRAIN) for meta in self.light["meta"].to_pylist()])
            held = parts == split.HELD_OUT
        else:
            by = split.digests(self.light, self.media)
            held = split.draw(by, self.cluster, kept, float(self.config.held_out), self.seed)  # type: ignore[arg-type]
        self.split[kept] = np.where(held, split.HELD_OUT, split.TRAIN)[kept]

    def decontaminate(self) -> None:
        """Drops training documents that hold pieces of evaluation items."""
        from seedstock.corpus import decontaminate

        asked = self.config.decontaminate
        files = decontaminate.files(asked.files)
        if not files:
            return
        index = decontaminate.Index(files, asked.words, asked.shortest, asked.common)
        for name, (found, items) in index.coverage().items():
            if found < items:
                self.reporter.say(f"{name}: {items - found} of {items} items are too short to be found in documents")
        matches: dict[int, np.ndarray] = {}
        with self.reporter.bar("decontaminating", len(self.pieces), "parts") as bar:
            for piece in self.pieces:
                rows = self._alive(piece)
                rows = rows[self.split[rows] == split.TRAIN]
                texts = piece.documents(["text"])["text"].take(rows - piece.first).combine_chunks()
                matches |= {int(rows[at]): runs for at, runs in index.search(texts).items()}
                bar.advance()
        documents = index.documents(matches)
        for row, runs in sorted(matches.items()):
            if hit := index.verdict(runs, documents):
                self.drop(row, "decontaminate", hit.file, hit.reason(asked.quote))
                self.split[row] = ""

    def edit(self) -> None:
        """Collects the edits of policy and deduplication; a document that they leave nothing of is dropped."""
        alive = [(piece, self._alive(piece)) for piece in self.pieces]
        repeated = duplicates.spans(self.config.dedup, alive, self.work, self.reporter)
        for number, (piece, rows) in enumerate(alive):
            cut = repeated(number)
            documents, signals = self._tables(piece, rows)
            offsets = self._offsets(documents)
            texts = documents.column("text")
            for at, wanted in enumerate(self.config.policy.edits(documents, signals)):
                wanted = [*wanted, *cut.get(int(rows[at]), ())]
                if not wanted:
                    continue
                text, row = texts[at].as_py(), int(rows[at])
                where = f"{documents.column('source')[at]}: {documents.column('locator')[at]}"
                listed = edits_.ordered(wanted, len(text.encode()), where)
                if not edits_.apply(text, [(start, end, new) for start, end, _, new in listed]).strip():
                    self.drop(row, "edit", "empty", "the edits leave nothing of it")
                    self.split[row] = ""
                    continue
                self.changed[row] = True
                shifted = [(start + offsets[at], end + offsets[at], kind, new) for start, end, kind, new in listed]
                self.edits[number].append((row, shifted))

    def _alive(self, piece: Piece) -> np.ndarray:
        """The rows of a piece, as rows of the corpus, that are not dropped."""
        return piece.first + np.flatnonzero(~self.dropped[piece.first : piece.first + piece.rows])

    def _tables(self, piece: Piece, rows: np.ndarray) -> tuple[pa.RecordBatch, dict[str, pa.RecordBatch]]:
        here = rows - piece.first
        documents = _batch(piece.documents().take(here))
        signals = {
            signal.name: _batch(piece.signal(versioned(signal)).take(here)) for signal in self.config.policy.signals
        }
        return documents, signals

    def _offsets(self, documents: pa.RecordBatch) -> list[int]:
        """Where each row's text starts in its document's whole text."""
        if not self.config.tail:
            return [0] * documents.num_rows
        return [json.loads(meta)["span"][0] for meta in documents.column("meta").to_pylist()]


def _batch(table: pa.Table) -> pa.RecordBatch:
    import pyarrow as pa

    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def _languages(documents: pa.RecordBatch, signals: dict[str, pa.RecordBatch]) -> np.ndarray:
    """What the source declares, else what the language signal found, else ``und``."""
    declared = [json.loads(meta).get("language") for meta in documents.column("meta").to_pylist()]
    found = signals["language"].column("language").to_pylist() if "language" in signals else [None] * len(declared)
    names = [str(own or seen or UNDETERMINED) for own, seen in zip(declared, found, strict=True)]
    result = np.empty(len(names), object)
    result[:] = names
    return result
