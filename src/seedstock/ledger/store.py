"""What runs share, kept once: ``runs/.store/STAGE/DIGEST``, where the digest is of everything that went in."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seedstock.errors import SeedstockError
from seedstock.ledger import manifest
from seedstock.ledger.files import plain_errors, sync_folder, sync_tree
from seedstock.ledger.ids import digest
from seedstock.ledger.locks import locked


class Store:
    """Sealed folders by stage and by the digest of their inputs."""

    def __init__(self, runs: Path) -> None:
        self.path = Path(runs) / ".store"

    def folder(self, stage: str, inputs: dict[str, Any]) -> Path:
        """Where a stage with these inputs lies, built or not."""
        return self.path / stage / digest(inputs)[:32]

    def has(self, stage: str, inputs: dict[str, Any]) -> bool:
        """Whether it is built and whole."""
        return manifest.is_sealed(self.folder(stage, inputs))

    @contextlib.contextmanager
    def build(self, stage: str, inputs: dict[str, Any], *, resumable: bool = False) -> Iterator[Path]:
        """Yields a folder to fill; when the block ends without an error it is sealed and moved into place.

        A resumable stage finds in the folder what an earlier, cut-off attempt left there. A folder that is whole is
        never replaced. Raises SeedstockError where another process is building the same thing, or has just built it.
        """
        final = self.folder(stage, inputs)
        partial = final.with_name(final.name + ".partial")
        with plain_errors(final):
            final.parent.mkdir(parents=True, exist_ok=True)
            # The lock file stays: another process may have it open, and would hold a lock that nobody else can see.
            busy = SeedstockError(
                f"another process is building this {stage}", where=final, fix="wait for it, then start again"
            )
            with final.with_name(final.name + ".lock").open("w") as lock, locked(lock, busy):
                if self.has(stage, inputs):
                    raise SeedstockError(
                        f"another process has built this {stage} meanwhile", where=final, fix="start again to use it"
                    )
                if not resumable:
                    shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir(exist_ok=True)
                yield partial
                manifest.seal(partial, stage, inputs)
                sync_tree(partial)
                shutil.rmtree(final, ignore_errors=True)  # not whole, or it would have been found above
                partial.rename(final)
                sync_folder(final.parent)
