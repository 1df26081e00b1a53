"""Builds a corpus: shard tasks read and measure, phases decide, and the result is sealed into the store."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from seedstock.corpus.config import CorpusConfig
from seedstock.corpus.sources.base import Partition, Source, fingerprint
from seedstock.errors import DataError, RecipeError
from seedstock.ledger import forgotten
from seedstock.ledger.ids import keyed
from seedstock.ledger.store import Store
from seedstock.progress import Reporter

STAGE = "corpus"
FORMAT = 1


def inputs_of(
    sources: Sequence[Source], config: CorpusConfig, seed: int, key: bytes, runs: Path | str = "runs"
) -> dict[str, Any]:
    """Everything that decides what a corpus will be: its digest names the corpus in the store.

    Lists the sources, and reads none; ``runs`` is the folder of runs, where earlier corpora are looked for. Raises
    DataError where a path or an environment variable is missing.
    """
    return _inputs(_listed(sources), config, seed, key, Path(runs))


def build(
    sources: Sequence[Source],
    config: CorpusConfig,
    *,
    seed: int,
    key: bytes,
    store: Store,
    reporter: Reporter,
    workers: int | None = None,
) -> Path:
    """Builds the corpus, or finds it built; returns its sealed folder (layout: docs/architecture.md).

    ``workers`` is the number of processes: a core each where it is None, none where it is 0. The result is the same
    for any number. An attempt that was cut off is taken up where it stopped. Raises DataError where a source is missing
    or nothing is left of the corpus, Interrupted where shard tasks were handed over to a scheduler.
    """
    listed = _listed(sources)
    inputs = _inputs(listed, config, seed, key, store.path.parent)
    if store.has(STAGE, inputs):
        return store.folder(STAGE, inputs)
    from seedstock.corpus import backends, duplicates, engine, pieces
    from seedstock.corpus.memory import lean
    from seedstock.corpus.pace import Pace

    with store.build(STAGE, inputs, resumable=True) as folder, contextlib.ExitStack() as stack:
        work = folder / "work"
        tasks = pieces.plan(
            listed,
            signals=(*config.policy.signals, *duplicates.signals(config.dedup)),
            work=work,
            key=key,
            tail=config.tail,
            extract=config.extract,
            forgotten=frozenset(forgotten.read(store.path.parent)),
        )
        pieces.reuse(tasks, [folder, *_sealed(store)])
        pending = [task for task in tasks if task.pieces() is None]
        apart = workers != 0 and not (workers is None and engine.small(pending))  # in programs of their own
        if not apart:
            stack.enter_context(lean())
        bytes_ = sum(task.bytes for task in pending)
        with reporter.bar("reading and measuring", bytes_, "B") as bar, _imported(apart and bool(pending)):
            backends.run(
                config.engine,
                pending,
                workers=workers,
                timeout=config.timeout,
                memory=config.memory,
                done=Pace(bar, pending),
                reporter=reporter,
            )
        if apart:
            stack.enter_context(lean())
        from seedstock.corpus import output, phases, split

        found, unreadable = pieces.finished(tasks)
        state = phases.Phases(
            found,
            config,
            seed,
            reporter,
            against=duplicates.against(config.dedup, store.path.parent),
            work=work,
            workers=engine.cores() if workers is None else max(1, workers),
        )
        if found:
            state.run()
        if not (state.split == split.TRAIN).any():
            raise _nothing_left(state, unreadable)
        _clear(folder, work)
        pieces.assemble(folder, tasks, found)
        output.write(folder, state, unreadable)
        shutil.rmtree(work)
    return store.folder(STAGE, inputs)


@contextlib.contextmanager
def _imported(wanted: bool) -> Iterator[None]:
    """Imports what comes after the block while others work in it, half a second's worth."""

    def work() -> None:
        with contextlib.suppress(ImportError):  # which is told of where it is needed
            import pyarrow as pa
            import pyarrow.dataset
            import pyarrow.parquet

            from seedstock.corpus import output, report  # noqa: F401

            pa.array([0])  # pyarrow imports pandas at the first list that it is given, where there is pandas

    thread = threading.Thread(target=work, daemon=True)
    if wanted:
        thread.start()
    try:
        yield
    finally:
        if wanted:
            thread.join()


def _listed(sources: Sequence[Source]) -> list[tuple[Source, list[Partition]]]:
    for name, count in Counter(source.name for source in sources).items():
        if count > 1:
            raise RecipeError(f"{count} sources have the name {name!r}", where="sources", fix="give each its own name")
    return [(source, source.partitions()) for source in sources]


def _inputs(
    listed: list[tuple[Source, list[Partition]]], config: CorpusConfig, seed: int, key: bytes, runs: Path
) -> dict[str, Any]:
    from seedstock.corpus import duplicates, evaluation_items, selection
    from seedstock.corpus.tasks import provider

    evaluation = evaluation_items.files(config.decontaminate.files)
    return {
        "format": FORMAT,
        "sources": [
            {
                "config": source.model_dump(mode="json"),
                "version": source.version,
                "provider": provider("sources", source.kind),
                "fingerprint": fingerprint(parts),
            }
            for source, parts in listed
        ],
        "corpus": config.model_dump(mode="json", exclude=set(config.how)),
        "signals": {
            signal.name: {"version": signal.version, "provider": provider("signals", signal.kind)}
            for signal in (*config.policy.signals, *duplicates.signals(config.dedup))
        },
        "against": [corpus.root for corpus in duplicates.against(config.dedup, runs)],
        "decontaminate": [[file.name, file.fingerprint, evaluation_items.VERSION] for file in evaluation],
        "select": selection.inputs(config.select),
        "seed": seed,
        "key": keyed(key, "corpus").hex(),
    }


def _sealed(store: Store) -> list[Path]:
    """The corpora of the store, the newest first."""
    folders = [path.parent for path in (store.path / STAGE).glob("*/manifest.json")]
    return sorted(folders, key=lambda path: (-path.stat().st_mtime, path.name))


def _clear(folder: Path, work: Path) -> None:
    """Takes away what an attempt that was cut off had put together; ``work`` has all of it."""
    for path in folder.iterdir():
        if path.is_dir() and path != work:
            shutil.rmtree(path)
        elif path != work:
            path.unlink()


def _nothing_left(state: Any, unreadable: list[dict[str, Any]]) -> DataError:
    drops = Counter(zip(state.step[state.dropped], state.reason[state.dropped], strict=True))
    if not drops and state.rows:
        what = f"all {state.rows} documents are held out: nothing is left to train on"
        return DataError(what, where="corpus.held_out", fix="lower it, or give more documents")
    if not drops:
        what = "the sources hold no documents"
        if unreadable:
            first = unreadable[0]
            what += f"; {len(unreadable)} could not be read, the first: {first['locator']}: {first['reason']}"
        return DataError(what, where="corpus", fix="mend the sources of the recipe")
    ((step, most),) = Counter(state.step[state.dropped]).most_common(1)
    reasons = [(reason, count) for (at, reason), count in drops.most_common() if at == step]
    shown = "; ".join(f"{reason} ({count})" for reason, count in reasons[:3])
    return DataError(
        f"nothing is left to train on of {state.rows} documents; {step!r} dropped {most}: {shown}",
        where="corpus",
        fix="loosen corpus.policy, corpus.dedup or corpus.select, or give other sources",
    )
