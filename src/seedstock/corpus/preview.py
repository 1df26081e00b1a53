"""What a corpus' steps would do, seen on documents drawn from its sources; nothing is written but a temporary folder.

The drawn documents go through the same tasks and phases as in a build. What looks at one document alone decides as it
would there. What compares documents (deduplication) sees the drawn ones alone and finds fewer: such a step is marked
``across``, has no estimate, and its count is no more than a sign that there is something. Selection is left out.

``preview`` returns plain JSON values::

    documents   how many were drawn and read
    sources     [{source, documents, partitions, drawn_partitions, read_whole, read_bytes, estimated_documents}]
    kept        {documents, share, interval, byte_share}
    flow        [{phase, step, reason, documents, across, share, interval, byte_share, estimated_documents, samples}]
    edits       [{kind, edits, documents, share, interval, examples: [{source, locator, before, removed, replacement,
                after}]}]
    unreadable  {documents, reasons: [{source, step, reason, count}]}
    notes       [what to bear in mind when reading this]

Shares are of the documents of all sources, weighted by how they were drawn, with 95 % intervals (Wilson's, with the
number of documents reduced by the effect of drawing them in partitions).
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seedstock.corpus.config import CorpusConfig
from seedstock.corpus.drawing import Stratum, draw
from seedstock.corpus.survey import Survey
from seedstock.errors import DataError
from seedstock.ledger import forgotten
from seedstock.progress import Reporter, Silent

if TYPE_CHECKING:
    from seedstock.corpus.phases import Phases
    from seedstock.corpus.pieces import Piece
    from seedstock.corpus.sources.base import Source

ACROSS = ("dedup", "select")
EXAMPLES = 3
CONTEXT = 48  # characters on either side of a change
WINDOW = 4096  # bytes that are looked at for personal data on either side
MASK = "▮"
NONE = dict.fromkeys(("share", "interval", "byte_share", "estimated_documents"))


def preview(
    sources: Sequence[Source],
    config: CorpusConfig,
    *,
    count: int,
    seed: int,
    key: bytes,
    runs: Path | str = "runs",
    reporter: Reporter | None = None,
    workers: int | None = None,
) -> dict[str, Any]:
    """Draws about ``count`` documents and decides about them. Raises DataError where there are none."""
    from seedstock.corpus import duplicates, engine, phases, pieces
    from seedstock.corpus.tasks import Task
    from seedstock.ledger.ids import keyed

    reporter = reporter or Silent()
    with tempfile.TemporaryDirectory(prefix="seedstock-sample-") as temporary:
        work = Path(temporary)
        listed = [(source, source.partitions()) for source in sources]
        strata = draw(listed, count, keyed(b"seedstock", "preview", str(seed).encode()), work / "notes")
        given: dict[str, Any] = {
            "signals": (*config.policy.signals, *duplicates.signals(config.dedup)),
            "work": work,
            "key": key,
            "piece_bytes": pieces.LARGEST,
            "tail": config.tail,
            "extract": config.extract,
            "forgotten": frozenset(forgotten.read(Path(runs))),
        }
        tasks = [Task(stratum.drawn, tuple(stratum.drawn.partitions()), **given) for stratum in strata]  # type: ignore[arg-type]
        with reporter.bar("reading and measuring a sample", len(tasks), "sources") as bar:
            engine.run(
                tasks,
                workers=workers,
                timeout=config.timeout,
                memory=config.memory,
                done=lambda task: bar.advance(),
                reporter=reporter,
            )
        found, unreadable = pieces.finished(tasks)
        if not found and not unreadable:
            raise DataError("the sources hold no documents", where="corpus", fix="mend the sources of the recipe")
        state = phases.Phases(
            found,
            config.model_copy(update={"select": ()}),
            seed,
            Silent(),
            against=duplicates.against(config.dedup, Path(runs)),
            work=work,
        )
        if found:
            state.run()
        return _result(state, strata, unreadable, config)


def _result(
    state: Phases, strata: Sequence[Stratum], unreadable: list[dict[str, Any]], config: CorpusConfig
) -> dict[str, Any]:
    survey = _survey(state, strata, unreadable)
    kept = ~state.dropped
    return {
        "documents": state.rows,
        "sources": [_source(stratum) for stratum in strata],
        "kept": {"documents": int(kept.sum()), **survey.share(kept)},
        "flow": _flow(state, survey),
        "edits": _edits(state, survey, config),
        "unreadable": {"documents": len(unreadable), "reasons": _reasons(unreadable)},
        "notes": _notes(strata, config),
    }


def _survey(state: Phases, strata: Sequence[Stratum], unreadable: list[dict[str, Any]]) -> Survey:
    """The weights of the rows, and after them those of what could not be read."""
    weights = {stratum.drawn.source.name: stratum.weights() for stratum in strata}
    places = [
        (source, locator)
        for piece in state.pieces
        for source, locator in zip(*_columns(piece, "source", "locator"), strict=True)
    ]
    places += [(entry["source"], entry["locator"]) for entry in unreadable]
    found = [weights.get(source, {}).get(locator, ("", 1.0)) for source, locator in places]
    return Survey(
        rows=state.rows,
        bytes=state.bytes,
        weights=np.array([weight for _, weight in found], float),
        clusters=[(source, partition) for (source, _), (partition, _) in zip(places, found, strict=True)],
        whole=all(note["whole"] and note["read"] == len(note["drawn"]) for s in strata for note in s.drawn.noted())
        and all(stratum.of == len(stratum.drawn.listed) for stratum in strata),
    )


def _columns(piece: Piece, *names: str) -> list[list[Any]]:
    table = piece.documents(list(names))
    return [table[name].to_pylist() for name in names]


def _source(stratum: Stratum) -> dict[str, Any]:
    notes = stratum.drawn.noted()
    weights = stratum.weights()
    return {
        "source": stratum.drawn.source.name,
        "documents": len(weights),
        "partitions": stratum.of,
        "drawn_partitions": len(stratum.drawn.listed),
        "read_whole": sum(note["whole"] for note in notes),
        "read_bytes": sum(note["bytes"] for note in notes),
        "estimated_documents": round(sum(weight for _, weight in weights.values())),
    }


def _flow(state: Phases, survey: Survey) -> list[dict[str, Any]]:
    from seedstock.corpus.summary import PHASES

    rows = np.flatnonzero(state.dropped)
    groups: dict[tuple[str, str, str], list[int]] = {}
    reasons = zip(rows.tolist(), state.phase[rows], state.step[rows], state.reason[rows], strict=True)
    for row, phase, step, reason in reasons:
        groups.setdefault((phase, step, reason), []).append(row)
    flow = []
    for why in sorted(groups, key=lambda why: (PHASES.index(why[0]), -len(groups[why]), why)):
        hit = np.zeros(state.rows, bool)
        hit[groups[why]] = True
        across = why[0] in ACROSS
        entry: dict[str, Any] = dict(zip(("phase", "step", "reason"), why, strict=True))
        entry |= {"documents": len(groups[why]), "across": across, **(NONE if across else survey.share(hit))}
        flow.append({**entry, "samples": _samples(state, groups[why])})
    return flow


def _samples(state: Phases, rows: list[int]) -> list[dict[str, Any]]:
    from seedstock.corpus import samples
    from seedstock.corpus.phases import FAILED

    found: list[dict[str, Any]] = []
    for row in rows:
        if len(found) < EXAMPLES and state.bytes[row] and state.reason[row] != FAILED:
            piece = _piece(state, row)
            path = piece.task.table(piece.index, "documents")
            found += [asdict(one) for one in samples.at(path, [row - piece.first])]
    return found


def _piece(state: Phases, row: int) -> Piece:
    return next(piece for piece in state.pieces if piece.first <= row < piece.first + piece.rows)


def _edits(state: Phases, survey: Survey, config: CorpusConfig) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    counts: Counter[str] = Counter()
    documents: dict[str, set[int]] = {}
    examples: dict[str, list[dict[str, Any]]] = {}
    for number, piece in enumerate(state.pieces):
        made = pq.read_table(state.edits(number)).to_pylist() if state.edits(number).exists() else []
        if not made:
            continue
        names = ("id", "source", "locator", "meta", "text")
        table = piece.documents(list(names)).to_pylist()
        for edit in made:
            at = _row(table, edit, config)
            kind = edit["kind"]
            counts[kind] += 1
            documents.setdefault(kind, set()).add(piece.first + at)
            if len(examples.setdefault(kind, [])) < EXAMPLES:
                examples[kind].append(_shown(table[at], edit, kind in config.policy.redact, config))
    found = []
    for kind in sorted(counts):
        hit = np.zeros(state.rows, bool)
        hit[list(documents[kind])] = True
        across = kind not in config.policy.redact
        shares: dict[str, Any] = NONE if across else survey.share(hit)
        entry = {"kind": kind, "edits": counts[kind], "documents": len(documents[kind]), "across": across}
        found.append({**entry, **shares, "examples": examples[kind]})
    return found


def _row(table: list[dict[str, Any]], edit: dict[str, Any], config: CorpusConfig) -> int:
    rows = [at for at, row in enumerate(table) if row["id"] == edit["id"]]
    inside = [at for at in rows if _start(table[at], config) <= edit["start"]]
    return inside[-1] if inside else rows[0]


def _start(row: dict[str, Any], config: CorpusConfig) -> int:
    return json.loads(row["meta"])["span"][0] if config.tail else 0


def _shown(row: dict[str, Any], edit: dict[str, Any], secret: bool, config: CorpusConfig) -> dict[str, Any]:
    """A change in its place; what is redacted is never shown, and neither is personal data beside it."""
    from seedstock.corpus.samples import excerpt, redacted

    data, first = row["text"].encode(), _start(row, config)
    start, end = edit["start"] - first, edit["end"] - first
    before = redacted(data[max(0, start - WINDOW) : start].decode(errors="ignore"))
    after = redacted(data[end : end + WINDOW].decode(errors="ignore"))
    removed = data[start:end].decode(errors="replace")
    return {
        "source": row["source"],
        "locator": redacted(row["locator"]),
        "before": " ".join(before.split())[-CONTEXT:],
        "removed": MASK * min(len(removed), 12) if secret else excerpt(redacted(removed))[: 2 * CONTEXT],
        "replacement": edit["replacement"],
        "after": " ".join(after.split())[:CONTEXT],
    }


def _reasons(unreadable: list[dict[str, Any]]) -> list[dict[str, Any]]:
    from seedstock.corpus.quarantined import counted

    return counted(unreadable)


def _notes(strata: Sequence[Stratum], config: CorpusConfig) -> list[str]:
    notes = []
    cut = [s.drawn.source.name for s in strata if any(not note["whole"] for note in s.drawn.noted())]
    if cut:
        notes.append(f"of some partitions only the beginning was read: {', '.join(cut)}")
    if config.dedup is not None:
        notes.append("duplicates are found among the drawn documents alone: a build finds more")
    if config.decontaminate.files:
        notes.append("how common a run of words is was counted among the drawn documents: a build may drop fewer")
    if config.select:
        notes.append("corpus.select chooses among all documents and is not shown")
    return notes
