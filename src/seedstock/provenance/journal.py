"""The journal of a ``forget``: what it set out to do, written before anything is touched.

With it a forget that was cut off at any point is completed by the next one.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from seedstock.errors import IntegrityError, SeedstockError
from seedstock.ledger import manifest
from seedstock.ledger.chain import Chain
from seedstock.ledger.files import plain_errors, read_json, sync_folder, write_json
from seedstock.ledger.ids import sha256_file
from seedstock.provenance.sealed import CHAIN
from seedstock.provenance.verify import Problem

DAMAGED = "restore the file from a copy, or build its stage again; `seedstock verify` shows all of it"


def place(runs: Path) -> Path:
    """Where the journal lies while a forget is under way."""
    return runs / ".store" / "forget.json"


@dataclass
class Journal:
    """``asked`` and ``twins`` are the ids to erase (hexadecimal).

    ``folders`` maps each sealed folder that has to be rewritten (relative to the folder of runs) to its stage, its
    manifest_sha256 and root before, and the ``files`` concerned; ``pages`` are the loose files; ``closed`` the runs
    that have to be closed again.
    """

    asked: list[str]
    twins: list[str]
    reason: str
    date: str
    folders: dict[str, dict[str, Any]]
    pages: list[str]
    closed: list[str]
    format: int = 1

    @property
    def ids(self) -> frozenset[bytes]:
        """Everything to erase."""
        return frozenset(bytes.fromhex(one) for one in self.asked + self.twins)

    def files(self) -> list[str]:
        """The files of sealed folders that have to be rewritten, relative to the folder of runs."""
        return [f"{folder}/{file}" for folder, entry in self.folders.items() for file in entry["files"]]

    def save(self, runs: Path) -> None:
        """Writes the journal durably: from here on the forget can be completed."""
        write_json(place(runs), asdict(self))

    @staticmethod
    def load(runs: Path) -> Journal | None:
        """The journal of a forget that was cut off, or None."""
        return Journal(**read_json(place(runs))) if place(runs).is_file() else None

    @staticmethod
    def done(runs: Path) -> None:
        """Removes the journal: nothing is left to do."""
        place(runs).unlink(missing_ok=True)
        sync_folder(place(runs).parent)


def refuse(problems: list[Problem]) -> None:
    """Raises IntegrityError with the first of ``problems``: what is rewritten is sealed again, damage and all."""
    if problems:
        raise IntegrityError(f"{problems[0].what}, so nothing was erased", where=problems[0].file, fix=DAMAGED)


def before(folder: Path, files: list[str]) -> dict[str, Any]:
    """A folder's entry in the journal. Raises IntegrityError where one of ``files`` is not what its manifest says."""
    known = manifest.read(folder)
    for name in files:
        if name not in known.files or sha256_file(folder / name) != known.files[name]["sha256"]:
            refuse([Problem(str(folder / name), "its digest is not the recorded one")])
    digest = sha256_file(folder / manifest.NAME)
    return {"stage": known.stage, "manifest_sha256": digest, "root": known.root, "files": files}


def chains(runs: Path) -> dict[str, Chain]:
    """The chain of every run under ``runs``, by the run's name."""
    return {file.parent.parent.name: Chain(file) for file in sorted(runs.glob(f"*/{CHAIN}"))}


@contextlib.contextmanager
def alone(runs: Path, held: str) -> Iterator[None]:
    """Keeps a second forget out, and refuses while a command works on a run or builds a stage of the store.

    The caller holds the lock of the run ``held`` already.
    """
    every = [runs / ".store" / "forget.lock", *sorted((runs / ".store").glob("*/*.lock"))]
    every += [runs / f".{name}.lock" for name in sorted(chains(runs)) if name != held]
    with contextlib.ExitStack() as locks:
        for lock in every:
            with plain_errors(lock):
                lock.parent.mkdir(parents=True, exist_ok=True)
                file = locks.enter_context(lock.open("a"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SeedstockError("another command is at work here", where=lock, fix="wait for it to end") from None
        yield
