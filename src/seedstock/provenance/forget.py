"""Erases documents everywhere under a folder of runs, and leaves tombstones that ``verify`` follows.

A document is taken out of every corpus, every shard folder and every page of every run, whichever run it is asked for
in; so are its twins, the documents of its dedup cluster, which are the same content. What is left is its keyed id.
Weights are not changed: the report says which checkpoints saw the document and from which one a clean run can resume.

A forget that is cut off at any point is completed by the next: the journal is written first and removed last; pages
that quote the text are cleaned while the text is still there to look for, the tables of documents come last, then each
folder is sealed again and each chain gets its record.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from seedstock.errors import DataError
from seedstock.ledger import forgotten, manifest
from seedstock.ledger.ids import sha256_file
from seedstock.progress import Reporter, Silent
from seedstock.provenance import journal as journals
from seedstock.provenance.close import close, is_closed
from seedstock.provenance.descent import descendants, first_steps
from seedstock.provenance.erase import drawn, leftovers, pages, streams, tables, taught
from seedstock.provenance.erase.passages import Passages
from seedstock.provenance.exposure import exposures
from seedstock.provenance.journal import Journal
from seedstock.provenance.sealed import sealed
from seedstock.provenance.verify import loose_problems

ADVICE = (
    "Weights are not changed: the checkpoints that saw a document were trained on it. For weights that never saw it, "
    "resume from the last checkpoint before its first exposure; withdraw what was released from later ones."
)


@dataclass
class Forgotten:
    """What a forget did: ids, the sealed folders and loose files rewritten, files removed, runs concerned.

    ``seen`` says for each run and document which steps and checkpoints saw it, ``descendants`` which runs go back to
    such a checkpoint of another (``provenance.descent``); ``completed`` that nothing was left to do but, at most, to
    bring an earlier forget that was cut off to its end.
    """

    asked: list[str]
    twins: list[str]
    reason: str
    date: str
    folders: list[dict[str, Any]] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    seen: list[dict[str, Any]] = field(default_factory=list)
    descendants: list[dict[str, Any]] = field(default_factory=list)
    completed: bool = False
    advice: str = ADVICE

    def record(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        return asdict(self)


def forget(
    run_folder: Path,
    ids: Iterable[bytes] = (),
    *,
    url: str | None = None,
    locator: str | None = None,
    reason: str,
    date: str | None = None,
    twins: bool = True,
    reporter: Reporter | None = None,
) -> Forgotten:
    """Erases documents by their 16-byte ids, by URL or by locator, in every run and store folder beside this run.

    ``reason`` stays in the records, so it should name no person; ``date`` is today where it is not given. A forget that
    was cut off earlier is completed first. Raises DataError where no such document is there and nothing was left to
    complete, IntegrityError where a file that has to be rewritten is damaged (then nothing is erased), SeedstockError
    while another command is at work on a run; the caller holds the lock of this one (``Run.lock``).
    """
    run_folder, reporter = Path(run_folder), reporter or Silent()
    runs = run_folder.parent
    with journals.alone(runs, run_folder.name):
        earlier = Journal.load(runs)
        done = _carry_out(runs, earlier, reporter) if earlier else None
        asked = _find(run_folder, frozenset(ids), url, locator)
        if done and asked <= {bytes.fromhex(one) for one in done.asked + done.twins}:
            done.completed = True
            return done
        if not asked:
            raise DataError(
                "no such document", where=run_folder, fix="`seedstock trace` finds documents by URL or text"
            )
        date = date or datetime.date.today().isoformat()
        every = (_with_twins(runs, asked) if twins else asked) - forgotten.read(runs).keys()
        if not every:
            return Forgotten(_hex(asked), [], reason, date, completed=True)
        journal = _plan(runs, every & asked, every - asked, reason, date)
        journal.save(runs)
        return _carry_out(runs, journal, reporter)


def _find(run_folder: Path, ids: frozenset[bytes], url: str | None, locator: str | None) -> frozenset[bytes]:
    """The documents that are meant, as far as the run's corpora hold them."""
    chain = journals.chains(run_folder.parent).get(run_folder.name)
    found: set[bytes] = set()
    for entry in sealed(run_folder, chain.records)[0].values() if chain else ():
        if tables.is_corpus(entry.path):
            found |= tables.present(entry.path, ids)
            found |= tables.find(entry.path, "url", url) if url else set()
            found |= tables.find(entry.path, "locator", locator) if locator else set()
    return frozenset(found)


def _store(runs: Path) -> list[Path]:
    return [folder for folder in sorted((runs / ".store").glob("*/*")) if manifest.is_sealed(folder)]


def _with_twins(runs: Path, ids: frozenset[bytes]) -> frozenset[bytes]:
    """``ids`` and, over all corpora until nothing more is found, the documents of their clusters."""
    corpora = [folder for folder in _store(runs) if tables.is_corpus(folder)]
    while True:
        more = ids.union(*(tables.twins(folder, ids) for folder in corpora))
        if more == ids:
            return ids
        ids = more


def _plan(runs: Path, asked: frozenset[bytes], twins: frozenset[bytes], reason: str, date: str) -> Journal:
    """Finds every file that holds or quotes the documents, in every run and in the store."""
    ids, chains, store = asked | twins, journals.chains(runs), _store(runs)
    passages = _passages([folder for folder in store if tables.is_corpus(folder)], ids)
    inside = {name: sealed(runs / name, chain.records)[0].values() for name, chain in chains.items()}
    releases = [one.path for entries in inside.values() for one in entries if one.kind == "release"]
    folders = {}
    for folder in [*store, *(path for path in releases if manifest.is_sealed(path))]:
        files = set(pages.quoting(folder, passages, tables=not tables.is_corpus(folder)))
        files.update(tables.concerned(folder, ids) if tables.is_corpus(folder) else ())
        files.update(streams.concerned(folder, ids) if streams.is_shards(folder) else ())
        files.update(taught.concerned(folder, ids) if taught.is_logits(folder) else ())
        if files:
            folders[folder.relative_to(runs).as_posix()] = journals.before(folder, sorted(files))
    loose, closed = [], []
    for name, chain in chains.items():
        if is_closed(chain):
            found = loose_problems(runs / name, chain, chain.records[-1]["body"]["files"])
            journals.refuse([problem for problem in found if not leftovers.is_leftover(Path(problem.file))])
            closed.append(name)
        stages = [one.path for one in inside[name]]
        loose += [f"{name}/{page}" for page in pages.quoting(runs / name, passages, stages)]
        loose += [f"{name}/{page}" for page in drawn.concerned(runs / name, stages, ids)]
    return Journal(_hex(asked), _hex(twins), reason, date, folders, loose, closed)


def _hex(ids: frozenset[bytes]) -> list[str]:
    return sorted(one.hex() for one in ids)


def _passages(corpora: list[Path], ids: frozenset[bytes]) -> Passages:
    """What is still there of the documents, to be looked for elsewhere."""
    texts: list[str] = []
    names: set[str] = set()
    for folder in corpora:
        more, exact = tables.content(folder, ids)
        texts += more
        names.update(exact)
    return Passages(texts, names)


def _carry_out(runs: Path, journal: Journal, reporter: Reporter) -> Forgotten:
    """Does what a journal says, or what is left of it."""
    ids = journal.ids
    forgotten.add(runs, ids, journal.reason, journal.date)
    removed = leftovers.remove(runs)
    corpora = [name for name in journal.folders if tables.is_corpus(runs / name)]
    passages = _passages([runs / name for name in corpora], ids)
    for name in [*journal.pages, *journal.files()]:
        page = runs / name
        in_corpus = page.suffix == ".parquet" and any(name.startswith(f"{one}/") for one in corpora)
        if pages.is_page(page) and not in_corpus and pages.scrub(page, passages) == "removed":
            removed.append(name)
        if drawn.is_drawing(page) and page.is_file():
            page.unlink()
            removed.append(name)
    with reporter.bar("forget", len(journal.folders), "folders") as bar:
        for name in sorted(journal.folders, key=lambda name: (name in corpora, name)):
            if streams.is_shards(runs / name):
                streams.erase(runs / name, ids)
            if taught.is_logits(runs / name):
                taught.erase(runs / name, ids)
            if name in corpora:
                tables.erase(runs / name, ids, journal.reason)
            bar.advance()
    folders = [_seal_again(runs / name, name, journal) for name in journal.folders]
    touched = _record(runs, journal)
    report = Forgotten(
        journal.asked, journal.twins, journal.reason, journal.date, folders, journal.pages, removed, touched
    )
    chains = journals.chains(runs)
    for name, chain in chains.items():
        report.seen += [{"run": name} | entry for entry in exposures(runs / name, chain, ids)]
    report.descendants = descendants(chains, first_steps(report.seen))
    Journal.done(runs)
    return report


def _seal_again(folder: Path, name: str, journal: Journal) -> dict[str, Any]:
    """A folder's new manifest, with the tombstone, and what the report says of it."""
    old = journal.folders[name]
    if sha256_file(folder / manifest.NAME) == old["manifest_sha256"]:
        tombstone = {"ids": sorted(journal.asked + journal.twins), "reason": journal.reason, "date": journal.date}
        manifest.amend(folder, old["files"], tombstone | {"old_root": old["root"]})
    return {"folder": name, "stage": old["stage"], "files": old["files"], "old_root": old["root"]} | {
        "new_root": manifest.read(folder).root
    }


def _record(runs: Path, journal: Journal) -> list[str]:
    """A tombstone in each chain that names a rewritten folder; closes what was closed. Returns the runs concerned."""
    concerned = {page.partition("/")[0] for page in journal.pages}
    for name, chain in journals.chains(runs).items():
        for recorded, entry in sealed(runs / name, chain.records)[0].items():
            old = journal.folders.get(entry.path.relative_to(runs).as_posix())
            if old is None:
                continue
            concerned.add(name)
            if entry.manifest_sha256 == old["manifest_sha256"]:
                new = {
                    "manifest_sha256": sha256_file(entry.path / manifest.NAME),
                    "root": manifest.read(entry.path).root,
                }
                body = {"folder": recorded, "stage": old["stage"], "ids": sorted(journal.asked + journal.twins)}
                body |= {"reason": journal.reason, "date": journal.date, "new": new}
                chain.append("tombstone", body | {"old": {key: old[key] for key in new}})
        if name in journal.closed:
            close(runs / name, chain)
    return sorted(concerned)
