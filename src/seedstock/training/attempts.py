"""Attempts at a run: what the first one settled, the later ones repeat; and only one at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seedstock.errors import SeedstockError
from seedstock.ledger.chain import Chain
from seedstock.ledger.files import plain_errors
from seedstock.training.configs.training import TrainingConfig

KIND = "attempt"
SETTLED = ("steps", "precision", "compile", "threads", "micro_batch")


def settled(config: TrainingConfig) -> dict[str, Any]:
    """What of a configuration was settled by measuring, for the record."""
    found = {name: getattr(config, name) for name in SETTLED}
    optimizer = getattr(config.optimizer, "precision", None)
    return found | ({"optimizer.precision": optimizer} if optimizer else {})


def repeat(config: TrainingConfig, chain: Chain) -> TrainingConfig:
    """The configuration with what an earlier attempt settled, where the recipe still leaves it open."""
    earlier = chain.last(KIND)
    if earlier is None:
        return config
    found = earlier["settled"]
    update = {name: found[name] for name in SETTLED if getattr(config, name) in (None, "auto")}
    if "steps" in update:
        update |= {"tokens": None, "time": None}
    if getattr(config.optimizer, "precision", None) == "auto" and "optimizer.precision" in found:
        update["optimizer"] = config.optimizer.model_copy(update={"precision": found["optimizer.precision"]})
    return config.model_copy(update=update)


def shown(providers: dict[str, dict[str, str]]) -> dict[str, str]:
    """Providers (``kinds.providers``) in a line each: package, version and the start of their file's digest."""
    return {name: f"{one['package']} {one['version']} ({one['sha256'][:8]})" for name, one in providers.items()}


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Holds the run against a second process that would train it too."""
    with plain_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY)  # the folder itself: a file of its own would be one more to explain
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SeedstockError(
                "another process is training this run", where=folder.parent, fix="wait for it, or stop it first"
            ) from None
        yield
    finally:
        os.close(lock)
