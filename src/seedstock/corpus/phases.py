"""What is decided about every document, phase by phase: each row gets its decision, with phase, step and reason."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seedstock.corpus import duplicates, selection, split, tables
from seedstock.corpus import edits as edits_
from seedstock.corpus.config import CorpusConfig
from seedstock.corpus.documents import FORGOTTEN, schema
from seedstock.corpus.labels import Labels
from seedstock.corpus.languages import normalise
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
    """The state of a corpus between reading and writing: about 40 bytes a document, and one piece at a time.

    ``dropped`` bool, ``phase``, ``step``, ``reason``, ``language`` str, ``cluster`` and ``cluster_size`` int64,
    ``repeats`` int32, ``split`` str, ``changed``, ``media`` (whether it has any) and ``tokens`` (whether they are
    token ids in the place of a text) bool: all [rows]; with a curriculum also ``rank`` int64 and ``band`` int32.
    """

    def __init__(
        self,
        pieces: Sequence[Piece],
        config: CorpusConfig,
        seed: int,
        reporter: Reporter,
        *,
        against: Sequence[duplicates.EarlierCorpus] = (),
        work: Path,
        workers: int = 1,
    ) -> None:
        self.pieces, self.config, self.seed, self.reporter = pieces, config, seed, reporter
        self.against, self.work, self.workers = against, work, workers
        self.rows = sum(piece.rows for piece in pieces)
        self.dropped = np.zeros(self.rows, bool)
        self.changed = np.zeros(self.rows, bool)
        self.bytes = np.zeros(self.rows, np.int64)
        self.phase, self.step, self.reason, self.split = (Labels(self.rows) for _ in range(4))
        self.language = Labels(self.rows, UNDETERMINED)
        self.cluster = np.full(self.rows, -1, np.int64)
        self.cluster_size = np.ones(self.rows, np.int64)
        self.repeats = np.ones(self.rows, np.int32)
        self.duplicates: duplicates.Found | None = None
        types = np.concatenate([np.zeros(0, object), *(piece.media_types() for piece in pieces)])
        self.media, self.tokens = types.astype(bool), types == TOKENS
        self.failures: list[dict[str, Any]] = []
        self.rank: np.ndarray | None = None
        self.band: np.ndarray | None = None
        self.selected: list[dict[str, Any]] = []

    def run(self) -> None:
        """All phases, in their fixed order."""
        self.read()
        self.filter()
        self.dedup()
        self.hold_out()
        self.decontaminate()
        self.select()
        self.edit()

    def drop(self, rows: np.ndarray | int, phase: str, step: Any, reason: Any) -> None:
        """Marks rows that are not dropped yet."""
        self.dropped[rows] = True
        self.phase[rows], self.step[rows], self.reason[rows] = phase, step, reason

    def read(self) -> None:
        """Rows without text, rows that were read before, and those that a signal failed on."""
        keys = np.empty(self.rows, np.uint64)
        for piece in self.pieces:
            rows = slice(piece.first, piece.first + piece.rows)
            table = piece.documents(["id", "locator", "text_sha256", "bytes"])
            keys[rows] = _numbers(table["id"]) ^ _numbers(table["text_sha256"])
            self.bytes[rows] = table["bytes"].to_numpy()
            none = self.bytes[rows] == 0
            forgotten = none & (np.array(table["locator"].to_pylist(), object) == FORGOTTEN)
            self.drop(piece.first + np.flatnonzero(forgotten), "read", "forget", "forgotten")
            empty = none & ~forgotten & ~self.media[rows]
            self.drop(piece.first + np.flatnonzero(empty), "read", "empty", "there is no text")
        self._repeats(keys)
        for piece in self.pieces:
            if piece.record["failures"]:
                self._failed(piece)

    def _repeats(self, keys: np.ndarray) -> None:
        """Drops rows of the same id and text as an earlier one; ``keys`` uint64 [rows] are equal where these are."""
        seen: set[tuple[bytes, bytes]] = set()
        several = _several(keys)
        for piece in self.pieces:
            rows = several[np.searchsorted(several, piece.first) : np.searchsorted(several, piece.first + piece.rows)]
            if not len(rows):
                continue
            table = piece.documents(["id", "text_sha256"]).take(rows - piece.first)
            pairs = zip(table["id"].to_pylist(), table["text_sha256"].to_pylist(), strict=True)
            for row, pair in zip(rows.tolist(), pairs, strict=True):
                if pair in seen and not self.dropped[row]:
                    self.drop(row, "read", "repeat", "the same text was read before at the same place")
                seen.add(pair)

    def _failed(self, piece: Piece) -> None:
        about = piece.documents(["id", "source", "locator"])
        for failure in piece.record["failures"]:
            row, here = piece.first + failure["row"], about.slice(failure["row"], 1).to_pylist()[0]
            why = {"phase": "filter", "step": failure["step"], "reason": failure["reason"]}
            self.failures.append({**here, "id": here["id"].hex(), **why})
            if not self.dropped[row]:
                self.drop(row, "filter", failure["step"], FAILED)

    def filter(self) -> None:
        """Asks the policy, and finds each document's language."""
        with self.reporter.bar("deciding", len(self.pieces), "parts") as bar:
            for piece in self.pieces:
                rows = self._alive(piece)
                documents, signals = self._tables(piece, rows)
                self.language[rows] = _languages(documents, signals, self.media[rows])
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
            held = np.zeros(self.rows, bool)
            for piece in self.pieces:
                metas = piece.documents(["meta"])["meta"].to_pylist()
                parts = [json.loads(meta).get("part", split.TRAIN) for meta in metas]
                held[piece.first : piece.first + piece.rows] = np.array(parts, object) == split.HELD_OUT
        else:
            draws = np.empty(self.rows, np.uint64)
            for piece in self.pieces:
                rows = slice(piece.first, piece.first + piece.rows)
                by = split.digests(piece.documents(["source", "meta", "raw_sha256", "text_sha256"]), self.media[rows])
                draws[rows] = split.draws(by, self.seed)
            held = split.choose(draws, self.cluster, kept, float(self.config.held_out), self.seed)  # type: ignore[arg-type]
        self.split[kept & held] = split.HELD_OUT
        self.split[kept & ~held] = split.TRAIN

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

    def select(self) -> None:
        """Chooses among the training documents, step by step, and ranks what is kept."""
        if self.config.select:
            selection.run(self, self.config.select)

    def edit(self) -> None:
        """Writes the edits of policy and deduplication; a document that they leave nothing of is dropped."""
        alive = [(piece, self._alive(piece)) for piece in self.pieces]
        repeated = duplicates.spans(self.config.dedup, alive, self.work, self.reporter)
        for number, (piece, rows) in enumerate(alive):
            cut = repeated(number)
            documents, signals = self._tables(piece, rows)
            wanted = [
                [*edits, *cut.get(int(row), ())]
                for row, edits in zip(rows, self.config.policy.edits(documents, signals), strict=True)
            ]
            some = np.flatnonzero([bool(edits) for edits in wanted])
            texts = piece.documents(["text"])["text"].take(rows[some] - piece.first) if len(some) else []
            offsets = self._offsets(documents)
            made: list[tuple[Any, ...]] = []
            for at, text in zip(some.tolist(), texts, strict=True):
                about = {name: documents.column(name)[at].as_py() for name in ("id", "source", "locator")}
                listed = self._edited(int(rows[at]), text.as_py(), wanted[at], about)
                made += [(about["id"], start + offsets[at], end + offsets[at], *rest) for start, end, *rest in listed]
            edits_.write(self.edits(number), made)

    def _edited(self, row: int, text: str, wanted: list[edits_.Edit], about: dict[str, Any]) -> list[edits_.Edit]:
        listed = edits_.ordered(wanted, len(text.encode()), f"{about['source']}: {about['locator']}")
        if not edits_.apply(text, [(start, end, new) for start, end, _, new in listed]).strip():
            self.drop(row, "edit", "empty", "the edits leave nothing of it")
            self.split[row] = ""
            return []
        self.changed[row] = True
        return listed

    def edits(self, number: int) -> Path:
        """Where the edits of a piece are written down."""
        return self.work / "edits" / tables.part(number)

    def _alive(self, piece: Piece) -> np.ndarray:
        """The rows of a piece, as rows of the corpus, that are not dropped."""
        return piece.first + np.flatnonzero(~self.dropped[piece.first : piece.first + piece.rows])

    def _tables(self, piece: Piece, rows: np.ndarray) -> tuple[pa.RecordBatch, dict[str, pa.RecordBatch]]:
        """All columns but the text, which is large, and the policy's signals."""
        here = rows - piece.first
        names = [name for name in schema().names if name != "text"]
        documents = _batch(piece.documents(names).take(here))
        signals = {
            signal.name: _batch(piece.signal(versioned(signal)).take(here)) for signal in self.config.policy.signals
        }
        return documents, signals

    def _offsets(self, documents: pa.RecordBatch) -> list[int]:
        """Where each row's text starts in its document's whole text."""
        if not self.config.tail:
            return [0] * documents.num_rows
        return [json.loads(meta)["span"][0] for meta in documents.column("meta").to_pylist()]


def _numbers(digests: pa.ChunkedArray) -> np.ndarray:
    """The first eight bytes of each digest, uint64."""
    return np.frombuffer(b"".join(digest[:8] for digest in digests.to_pylist()), np.uint64)


def _several(keys: np.ndarray) -> np.ndarray:
    """The rows whose key another row has, ascending, int64."""
    order = np.argsort(keys, kind="stable")
    same = keys[order][1:] == keys[order][:-1]
    return np.unique(np.concatenate([order[1:][same], order[:-1][same]]))


def _batch(table: pa.Table) -> pa.RecordBatch:
    import pyarrow as pa

    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def _languages(documents: pa.RecordBatch, signals: dict[str, pa.RecordBatch], media: np.ndarray) -> np.ndarray:
    """What the source declares, in the one spelling of each language, else what the signal found, else ``und``.

    The text of ``media`` is a label or a caption, and of a few words no language can be told.
    """
    declared = [normalise(str(json.loads(meta).get("language") or "")) for meta in documents.column("meta").to_pylist()]
    found = signals["language"].column("language").to_pylist() if "language" in signals else [None] * len(declared)
    read = [None if other else seen for seen, other in zip(found, media.tolist(), strict=True)]
    names = [str(own or seen or UNDETERMINED) for own, seen in zip(declared, read, strict=True)]
    result = np.empty(len(names), object)
    result[:] = names
    return result
