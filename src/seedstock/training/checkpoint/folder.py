"""A run's ``checkpoints/``: saved whole or not at all, verified before use, the newest good one found."""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner

from seedstock.errors import IntegrityError
from seedstock.ledger import manifest
from seedstock.ledger.files import atomic_folder, plain_errors, read_json, write_json, write_text
from seedstock.training.checkpoint import index
from seedstock.training.checkpoint.reader import Reader
from seedstock.training.checkpoint.staged import Staged, stage
from seedstock.training.checkpoint.writer import Writer
from seedstock.training.parallel.world import World

FORMAT = 1
LATEST = "latest"
STATE = "state.json"
_NAME = re.compile(r"step-(\d{8,})")


def name(step: int) -> str:
    """The name of the checkpoint after ``step`` steps."""
    return f"step-{step:08d}"


def is_name(text: str) -> bool:
    """Whether it is the name of a checkpoint."""
    return bool(_NAME.fullmatch(text))


def step_of(folder: Path) -> int:
    """The step that a checkpoint's name tells."""
    found = _NAME.fullmatch(folder.name)
    assert found, folder
    return int(found[1])


def listing(checkpoints: Path) -> list[Path]:
    """Every checkpoint folder, newest first, sealed or not."""
    if not checkpoints.is_dir():
        return []
    return sorted((path for path in checkpoints.iterdir() if is_name(path.name)), key=step_of, reverse=True)


def save(checkpoints: Path, step: int, tensors: dict[str, torch.Tensor], state: dict[str, Any]) -> Path:
    """Writes a checkpoint beside, syncs it, moves it into place and points ``latest`` at it.

    ``tensors`` are named ``part.name``; ``state`` is JSON. Raises SeedstockError where the disk refuses; whatever was
    there before is untouched then.
    """
    return write(checkpoints, step, stage(tensors, World(), copied=False), state, World())


def write(checkpoints: Path, step: int, staged: Staged, state: dict[str, Any], world: World) -> Path:
    """Writes what ``stage`` gave, every process its own files; ``state`` is the main one's. Raises as ``save`` does, on
    every process alike."""
    final = checkpoints / name(step)
    with ExitStack() as stack:
        folder = world.first(lambda: stack.enter_context(atomic_folder(final)))
        writer = Writer(folder)
        with plain_errors(final):
            results = world.gather(world.together(lambda: staged.write(writer)))

        def finish() -> None:
            staged.finish(writer, results)
            write_json(folder / STATE, {"format": FORMAT, "step": step} | state)
            manifest.seal(folder, "checkpoint", {"step": step})
            stack.close()
            write_text(checkpoints / LATEST, final.name + "\n")

        world.first(finish)
    return final


def read_state(folder: Path) -> dict[str, Any]:
    """``state.json`` of a checkpoint. Raises IntegrityError where it is missing, damaged or of a later format."""
    state = read_json(folder / STATE)
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise IntegrityError("unknown checkpoint format", where=folder / STATE, fix="use a newer Seedstock")
    return state


def sizes(folder: Path) -> dict[str, tuple[torch.Size, torch.dtype]]:
    """The size and dtype of every tensor of a checkpoint, without reading them."""
    entries = index.read(folder).state_dict_metadata
    return {key: (entry.size, entry.properties.dtype) for key, entry in entries.items()}  # type: ignore[union-attr]


def load(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Reads a checkpoint into ``tensors``, in place. Raises IntegrityError where one is missing or of another shape."""
    found = sizes(folder)
    for key, tensor in tensors.items():
        if key not in found:
            raise IntegrityError(f"the checkpoint has no {key}", where=folder, fix="it belongs to another recipe")
        if found[key][0] != tensor.size():
            what = f"{key} has shape {[*found[key][0]]} in the checkpoint and {[*tensor.size()]} in the model"
            raise IntegrityError(what, where=folder, fix="it belongs to another recipe")
    with _one_process(), _plain_exceptions():
        planner = DefaultLoadPlanner(flatten_state_dict=False, flatten_sharded_tensors=False)
        dcp.load(dict(tensors), storage_reader=Reader(folder), planner=planner, no_dist=True)


def problems(folder: Path, expected: str | None = None) -> list[str]:
    """What is wrong with a checkpoint, each line naming the file; ``expected`` is its manifest's recorded SHA-256."""
    from seedstock.ledger.ids import sha256_file

    try:
        found = manifest.problems(folder)
    except IntegrityError as error:
        return [f"{error.where}: {error.what}"]
    if expected is not None and sha256_file(folder / manifest.NAME) != expected:
        found.append(f"{folder / manifest.NAME}: its digest is not the one in the run's ledger")
    return found


def newest(
    checkpoints: Path, recorded: dict[int, str] | None = None, tell: Callable[[Path, list[str]], None] | None = None
) -> Path | None:
    """The newest checkpoint that verifies, or None where there is none at all.

    ``recorded`` maps steps to the manifests' digests in the ledger; ``tell`` hears of each damaged checkpoint that is
    passed over. Raises IntegrityError where there are checkpoints and every one is damaged.
    """
    damaged: list[str] = []
    for folder in listing(checkpoints):
        found = problems(folder, (recorded or {}).get(step_of(folder)))
        if not found:
            return folder
        damaged += found
        if tell:
            tell(folder, found)
    if damaged:
        what = "every checkpoint is damaged:\n    " + "\n    ".join(damaged)
        raise IntegrityError(what, where=checkpoints, fix="restore one from a copy, or remove the folder to start anew")
    return None


def sweep(checkpoints: Path) -> None:
    """Removes what a killed save left: folders and files that never got their names."""
    for path in checkpoints.glob(".*") if checkpoints.is_dir() else ():
        if path.name.endswith((".tmp", ".old")):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextmanager
def _one_process() -> Iterator[None]:
    """Silences the planner's remark that there is one process only, which is what we asked for."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        yield


@contextmanager
def _plain_exceptions() -> Iterator[None]:
    """The planner wraps whatever goes wrong in a BaseException; this gives back what it was."""
    try:
        yield
    except dcp.CheckpointException as wrapped:
        first = next(iter(wrapped.failures.values()))[0]
        raise first from None
