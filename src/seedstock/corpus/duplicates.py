"""Deduplication of a corpus: what the phases hand to the steps, and what they make of the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seedstock.corpus.dedup.config import FINEWEB2, DedupConfig, MinHash
from seedstock.corpus.pieces import Piece
from seedstock.corpus.signals.base import Signal
from seedstock.corpus.tasks import versioned
from seedstock.errors import DataError, IntegrityError
from seedstock.ledger import manifest

if TYPE_CHECKING:
    import pyarrow as pa

    from seedstock.corpus.dedup.clusters import Clusters
    from seedstock.progress import Reporter

RUN = "run:"
REASONS = {
    "exact": "the same text as another document",
    "minhash": "nearly the same text as another document",
    "url": "the same URL as another document",
    "semantic": "nearly the same meaning as another document",
    "pictures": "nearly the same picture as another document",
}
EARLIER = " of an earlier corpus"


def signals(config: DedupConfig | None) -> tuple[Signal, ...]:
    """The signals that the steps read: computed with the policy's, in the shard tasks, and kept in the corpus."""
    from seedstock.corpus.signals.minhash import signal_of

    steps = config.documents if config else ()
    found = {signal.name: signal for signal in (signal_of(step) for step in steps if isinstance(step, MinHash))}
    return tuple(found.values())


@dataclass(frozen=True)
class EarlierCorpus:
    """A corpus that is not to be taken again: how it was asked for, its folder, the root of its manifest."""

    name: str
    folder: Path
    root: str


def against(config: DedupConfig | None, runs: Path) -> list[EarlierCorpus]:
    """The earlier corpora. Raises DataError where a folder is no corpus, or a run has none."""
    found = []
    for name in config.against if config else ():
        folder = _corpus_of(runs / name.removeprefix(RUN), runs) if name.startswith(RUN) else Path(name)
        if not manifest.is_sealed(folder) or not (folder / "decisions").is_dir():
            raise DataError(
                "there is no corpus here", where=f"corpus.dedup.against: {name}", fix="name its folder, or run:NAME"
            )
        found.append(EarlierCorpus(name, folder, manifest.read(folder).root))
    return found


def _corpus_of(run: Path, runs: Path) -> Path:
    from seedstock.ledger.chain import Chain

    stages = [body for body in Chain(run / "ledger" / "chain.jsonl").of("stage") if body["stage"] == "corpus"]
    if not stages:
        raise DataError("this run has no corpus", where=f"corpus.dedup.against: run:{run.name}", fix="build it first")
    return runs / stages[-1]["folder"]


class PiecePart:
    """Some rows of a piece, as deduplication reads them (``dedup.parts.Part``)."""

    def __init__(self, piece: Piece, chosen: np.ndarray) -> None:
        self.piece, self.chosen = piece, chosen

    @property
    def rows(self) -> int:
        return len(self.chosen)

    def has(self, name: str) -> bool:
        return "." not in name or self._signal(name) is not None

    def read(self, names: Sequence[str]) -> pa.Table:
        import pyarrow.parquet as pq

        from seedstock.corpus.dedup.parts import take

        plain = [name for name in names if "." not in name and name != "media"]
        table = take(self.piece.documents(plain or ["bytes"]), self.chosen)
        for name in names:
            if "." in name:
                column = self.piece.signal(self._signal(name) or name)[name.rpartition(".")[2]]
                table = table.append_column(name, take(column, self.chosen))
            elif name == "media":
                path = self.piece.task.table(self.piece.index, "media")
                table = table.append_column(name, take(pq.read_table(path, columns=["bytes"])["bytes"], self.chosen))
        return table.select(list(names))

    def _signal(self, name: str) -> str | None:
        """``minhash-5-112@1`` for ``minhash-5-112@1.signature``, ``gopher@2`` for ``gopher.words``."""
        wanted = name.rpartition(".")[0]
        known = (versioned(signal) for signal in self.piece.task.signals)
        return next((own for own in known if wanted in (own, own.partition("@")[0])), None)


@dataclass
class Found:
    """The clusters among ``survivors``, and the documents of earlier corpora that stand for some of them."""

    clusters: Clusters
    survivors: np.ndarray
    earlier: list[tuple[EarlierCorpus, Any]]

    def matches(self) -> dict[int, tuple[bytes, str]]:
        """For each survivor (its place) that an earlier document stands for: that one's id, and its corpus' root."""
        rows = self.clusters.matched
        wanted = np.unique(rows[rows >= 0])
        known: dict[int, tuple[bytes, str]] = {}
        first = 0
        for corpus, part in self.earlier:
            inside = wanted[(wanted >= first) & (wanted < first + part.rows)]
            if len(inside):
                ids = part.read(["id"])["id"].take(inside - first).to_pylist()
                known.update(zip(inside.tolist(), ((id_, corpus.root) for id_ in ids), strict=True))
            first += part.rows
        return {int(at): known[int(rows[at])] for at in np.flatnonzero(rows >= 0)}

    def reasons(self) -> np.ndarray:
        """Why each survivor goes, were it to go: str [survivors]."""
        kinds = self.clusters.kind
        reasons = np.array([REASONS.get(kind, "a duplicate of another document") for kind in kinds], object)
        known = self.clusters.matched >= 0
        reasons[known] += EARLIER
        return reasons


def find(
    config: DedupConfig,
    pieces: Sequence[tuple[Piece, np.ndarray]],
    media: np.ndarray,
    corpora: Sequence[EarlierCorpus],
    work: Path | None,
    workers: int,
    reporter: Reporter,
) -> Found:
    """The clusters among the given rows (of the corpus) of each piece; ``media`` bool [rows of the corpus]."""
    from seedstock.corpus.dedup import find_clusters
    from seedstock.corpus.dedup.parts import earlier as parts_of

    survivors = np.concatenate([np.zeros(0, np.int64), *(rows for _, rows in pieces)])
    earlier = [(corpus, part) for corpus in corpora for part in _readable(corpus, parts_of)]
    parts = [PiecePart(piece, rows - piece.first) for piece, rows in pieces]
    clusters = find_clusters(
        config,
        parts,
        reporter,
        earlier=[part for _, part in earlier],
        media=media[survivors],
        near=work,
        workers=workers,
    )
    return Found(clusters, survivors, earlier)


def _readable(corpus: EarlierCorpus, parts_of: Any) -> list[Any]:
    import pyarrow as pa

    try:
        return parts_of(corpus.folder)
    except (OSError, pa.ArrowException) as error:
        raise IntegrityError(
            f"the earlier corpus cannot be read: {error}", where=corpus.folder, fix="restore it, or leave it out"
        ) from error


def spans(
    config: DedupConfig | None, pieces: Sequence[tuple[Piece, np.ndarray]], work: Path | None, reporter: Reporter
) -> Callable[[int], dict[int, list[tuple[int, int, str, str]]]]:
    """Gives for a piece's number the edits of its rows (of the corpus): spans that stood earlier, cut out.

    Looked at are the documents that are left after all phases on whole documents, so that what is kept of each repeat
    stays in the corpus.
    """
    if config is None or not config.spans:
        return lambda number: {}
    from seedstock.corpus.dedup import find_spans
    from seedstock.corpus.dedup.spill import Workspace

    space = Workspace(work)
    parts = [PiecePart(piece, rows - piece.first) for piece, rows in pieces]
    with space as folder:
        found = find_spans(config, parts, reporter, folder=folder)
        kept = [found.of(number) for number in range(len(parts))]
    starts = np.cumsum([0, *(part.rows for part in parts)])

    def of(number: int) -> dict[int, list[tuple[int, int, str, str]]]:
        rows = pieces[number][1]
        return {
            int(rows[row - starts[number]]): [(start, end, kind, "") for start, end, kind in listed]
            for row, listed in kept[number].items()
        }

    return of


def repeats(config: DedupConfig | None, sizes: np.ndarray) -> np.ndarray:
    """How often a document is to be repeated for the size of its cluster, int32; 1 without ``rehydrate``."""
    found = np.ones(len(sizes), np.int32)
    if config is not None and config.rehydrate == "fineweb2":
        found[sizes > 1] = sizes[sizes > 1].clip(max=3)
        for least, times in reversed(FINEWEB2):
            found[sizes >= least] = times
    return found
