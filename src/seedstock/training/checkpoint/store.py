"""Copies of a run's checkpoints in a store that fsspec knows, for machines that go and leave nothing.

What is new here is copied, its manifest last: a copy without its manifest is no checkpoint. There stays what would
stay here, and nothing that is newer than what is here (the run went back from it).
"""

from __future__ import annotations

import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from seedstock.errors import DataError, SeedstockError
from seedstock.ledger import manifest
from seedstock.ledger.files import atomic_folder
from seedstock.progress import Reporter
from seedstock.training.checkpoint import folder as checkpoints
from seedstock.training.checkpoint.retention import kept

KEY = "training.store"


class Store:
    """The folder ``url`` of a store. Raises DataError where the store's own package is missing."""

    def __init__(self, url: str, reporter: Reporter) -> None:
        from seedstock.corpus.sources import remote

        self.shown, self.reporter = remote.public(url), reporter
        self.system, self.root = remote.store(url, KEY)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._pending: list[Future[None]] = []

    def fetch(self, folder: Path) -> None:
        """Copies the store's newest checkpoint here where it is newer than what is here. One that does not verify is
        left alone, and the one before it tried. Raises DataError where the store does not answer."""
        try:
            self._fetch(folder)
        except SeedstockError:
            raise
        except Exception as error:  # each store raises errors of its own
            raise DataError(
                f"{self.shown} does not answer: {type(error).__name__}: {error}",
                where=KEY,
                fix="see the address, the rights and the network; without training.store the run goes on from here",
            ) from error

    def _fetch(self, folder: Path) -> None:
        here = [checkpoints.step_of(path) for path in checkpoints.listing(folder) if manifest.is_sealed(path)]
        for name in sorted(self._sealed(), reverse=True):
            path = folder / name
            if checkpoints.step_of(path) <= max(here, default=-1):
                return
            with atomic_folder(path) as beside:
                self.system.get(f"{self.root}/{name}/", f"{beside}/", recursive=True)
            problems = checkpoints.problems(path)
            if not problems:
                self.reporter.event("fetched", folder=name, store=self.shown)
                self.reporter.say(f"{name} was fetched from {self.shown}")
                return
            shutil.rmtree(path)
            self.reporter.say(f"{name} in {self.shown} is damaged ({problems[0]}); looking at the one before")

    def send(self, folder: Path, stay: dict[str, Any]) -> None:
        """Brings the store up to date beside training; ``stay`` are arguments of ``retention.kept``."""
        self._tell()
        for one in self._pending:
            one.cancel()  # where it has not begun: this one sends what that one would have sent
        self._pending.append(self._pool.submit(self._mirror, folder, stay))

    def close(self) -> None:
        """Waits for what is being sent."""
        self._pool.shutdown()
        self._tell()

    def _tell(self) -> None:
        """Says what failed of all that has ended. It costs no step: the checkpoint is here."""
        ended = [one for one in self._pending if one.done()]
        self._pending = [one for one in self._pending if not one.done()]
        for error in (one.exception() for one in ended if not one.cancelled()):
            if error is None:
                continue
            what = f"{type(error).__name__}: {error}"
            self.reporter.event("store_failed", store=self.shown, error=what)
            self.reporter.say(f"not in {self.shown}: {what}; checkpoints are here, and sent with the next one")

    def _mirror(self, folder: Path, stay: dict[str, Any]) -> None:
        here = {path.name: path for path in checkpoints.listing(folder) if manifest.is_sealed(path)}
        for name in sorted(here.keys() - self._sealed()):
            self._put(here[name])
        newest = max(map(checkpoints.step_of, here.values()), default=0)
        steps = {checkpoints.step_of(folder / name): name for name in self._sealed()}
        good = kept([step for step in steps if step <= newest], **stay)
        for name in (name for step, name in steps.items() if step not in good):
            # The manifest goes first: half a checkpoint must not look like one.
            self.system.rm(f"{self.root}/{name}/{manifest.NAME}")
            self.system.rm(f"{self.root}/{name}", recursive=True)

    def _put(self, path: Path) -> None:
        files = [file for file in sorted(path.rglob("*")) if file.is_file() and file.name != manifest.NAME]
        try:
            for file in (*files, path / manifest.NAME):
                to = f"{self.root}/{path.name}/{file.relative_to(path).as_posix()}"
                self.system.makedirs(to.rsplit("/", 1)[0], exist_ok=True)
                self.system.put_file(str(file), to)
        except FileNotFoundError:
            if path.exists():
                raise  # else it was pruned meanwhile

    def _sealed(self) -> set[str]:
        """The names of the checkpoints in the store."""
        self.system.invalidate_cache()
        try:
            found: list[Any] = self.system.ls(self.root, detail=False)
        except FileNotFoundError:
            return set()
        names = {path.rstrip("/").rsplit("/", 1)[-1] for path in found}
        return {name for name in names if checkpoints.is_name(name) and self._whole(name)}

    def _whole(self, name: str) -> bool:
        return bool(self.system.exists(f"{self.root}/{name}/{manifest.NAME}"))
