"""The items of a check, each passed or failed with what was found; one that fails does not stop the others."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from seedstock.errors import RecipeError, SeedstockError
from seedstock.progress import Reporter, Silent

DISK = 30e6
"""Bytes a second that a disk must write, synced: a checkpoint of 1 GB in half a minute."""
LINKS = {"cpu": 2e7, "gpu": 2e9}
"""Bytes a second that every link must carry: below it something is wrong (a cable, a container's network)."""
SLOWEST = {"cpu": 0.25, "gpu": 0.8}
"""Of the middle one's rate, what the slowest process must reach; processors are shared with others."""
BAND = 1e-5
"""Of losses in fp32 after the number of processes changed."""
PATIENCE = 60.0


@dataclass(frozen=True)
class Item:
    """One line of the report."""

    name: str
    passed: bool
    found: str
    figures: dict[str, Any] = field(default_factory=dict)


def check(
    folder: Path | str = ".", *, processes: int | None = None, quick: bool = False, reporter: Reporter | None = None
) -> dict[str, Any]:
    """Tries this machine with ``processes`` processes (one for each GPU; two without any), its disk at ``folder``.

    ``quick`` moves less data. Returns {passed, processes, device, seconds, items}. Raises RecipeError for fewer than
    two processes, or more than there are GPUs.
    """
    import torch

    gpus, began, reporter = torch.cuda.device_count(), time.monotonic(), reporter or Silent()
    size, kind = processes or max(2, gpus), "gpu" if gpus else "cpu"
    if size < 2:
        raise RecipeError("one process has no others to check", where="--processes", fix="give 2 or more")
    if gpus and size > gpus:
        raise RecipeError(f"{size} processes for {gpus} GPUs", where="--processes", fix=f"give up to {gpus}")
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="check-node-", dir=root) as inside:
        items = []
        for item in _items(Path(inside), size, kind, quick):
            items.append(item)
            reporter.say(line(item))
    name = torch.cuda.get_device_name() if gpus else "processors"
    told = {"passed": all(item.passed for item in items), "processes": size, "device": name}
    return {**told, "seconds": round(time.monotonic() - began, 1), "items": [asdict(item) for item in items]}


def line(item: Item) -> str:
    """``pass  disk  …``."""
    return f"{'pass' if item.passed else 'FAIL'}  {item.name:<16} {item.found}"


def _items(folder: Path, size: int, kind: str, quick: bool) -> Iterator[Item]:
    yield _tried("disk", lambda: _disk(folder, 16 if quick else 256))
    yield from _together(folder, size, kind, quick)
    yield _tried("killed process", lambda: _killed(size))


def _tried(name: str, what: Callable[[], Item]) -> Item:
    try:
        return what()
    except Exception as error:  # whatever goes wrong here is what the check is for
        text = error.what if isinstance(error, SeedstockError) else f"{type(error).__name__}: {error}"
        return Item(name, False, text)


def _disk(folder: Path, megabytes: int) -> Item:
    block, path = os.urandom(2**20), folder / "written"
    began = time.perf_counter()
    with path.open("wb") as file:
        for _ in range(megabytes):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    written = megabytes * 2**20 / (time.perf_counter() - began)
    with contextlib.suppress(OSError, AttributeError), path.open("rb") as file:  # what the disk holds, not memory
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    began, whole, found = time.perf_counter(), hashlib.sha256(), hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(2**20):
            found.update(piece)
    read = megabytes * 2**20 / (time.perf_counter() - began)
    for _ in range(megabytes):
        whole.update(block)
    same, speeds = whole.digest() == found.digest(), f"{written / 1e6:,.0f} MB/s written and synced"
    text = f"{speeds}, {read / 1e6:,.0f} MB/s read" if same else "what was read is not what was written"
    return Item("disk", same and written >= DISK, text + _floor(written, DISK), {"written": written, "read": read})


def _floor(found: float, least: float) -> str:
    return "" if found >= least else f"; {least / 1e6:,.0f} MB/s are wanted"


def _together(folder: Path, size: int, kind: str, quick: bool) -> Iterator[Item]:
    """What all processes do in one start."""
    from seedstock.training.node import probes
    from seedstock.training.parallel import launch

    layouts = [{"data": size}, {"shard": size}]
    layouts += [{"tensor": size}] if 8 % size == 0 else []
    examples = 2 * size
    given = (folder, 4 if quick else 64, 3 if quick else 10, layouts, examples)
    try:
        found = launch.start(probes.everything, given, size, PATIENCE)
    except Exception as error:
        text = error.what if isinstance(error, SeedstockError) else f"{type(error).__name__}: {error}"
        for name in ("links", "devices", "gradient parity", "resume on half"):
            yield Item(name, False, text)
        return
    yield _links(found["links"], kind)
    yield _devices(found["rates"], kind)
    far = found["parity"]
    worst = max(far, key=lambda name: far[name])
    told = ", ".join(f"{name}: {value:.1e}" for name, value in far.items())
    yield Item("gradient parity", far[worst] <= probes.TOLERANCE, f"off by {told} (at most 1e-5)", far)
    yield _tried("resume on half", lambda: _halved(folder, size, examples, found["losses"]))


def _links(found: dict[str, Any], kind: str) -> Item:
    if not found["right"]:
        return Item("links", False, "what arrived is not what was sent", found)
    slowest = min(range(len(found["pairs"])), key=lambda i: found["pairs"][i])
    least, size = found["pairs"][slowest], len(found["pairs"])
    text = f"all-reduce {found['bus'] / 1e9:.2f} GB/s; slowest link {slowest} to {(slowest + 1) % size}"
    text = f"{text} {least / 1e9:.2f} GB/s{_floor(min(least, found['bus']), LINKS[kind])}"
    return Item("links", min(least, found["bus"]) >= LINKS[kind], text, found)


def _devices(rates: list[float], kind: str) -> Item:
    middle, slowest = sorted(rates)[len(rates) // 2], min(range(len(rates)), key=lambda i: rates[i])
    share = rates[slowest] / middle
    text = f"{middle / 1e12:.3g} TFLOP/s in fp32; slowest: process {slowest} at {share:.0%} of the middle one"
    return Item("devices", share >= SLOWEST[kind], text, {"rates": rates})


def _halved(folder: Path, size: int, examples: int, losses: list[float]) -> Item:
    """The run that was stopped half way goes on with half as many processes: the same losses."""
    from seedstock.training.node import probes
    from seedstock.training.parallel import launch

    half = size // 2
    given = (folder / "halved", examples)
    again = launch.start(probes.train, given, half, PATIENCE) if half > 1 else probes.train(*given)
    whole = losses[probes.HALF :]
    if len(again) != len(whole):
        return Item("resume on half", False, f"{len(again)} steps were done of {len(whole)}")
    far = max(abs(a - b) for a, b in zip(again, whole, strict=True))
    return Item("resume on half", far <= BAND, f"{size} to {half} processes: losses off by {far:.1e}", {"off": far})


def _killed(size: int) -> Item:
    from seedstock.training.node import probes
    from seedstock.training.parallel import launch
    from seedstock.training.parallel.group import LostError

    began = time.monotonic()
    try:
        launch.start(probes.lost, (), size, PATIENCE)
    except LostError as error:
        seconds = time.monotonic() - began
        named = "process 1 " in error.what
        return Item("killed process", named, f"{error.what}; known after {seconds:.0f} s", {"seconds": seconds})
    return Item("killed process", False, "nobody missed a process that was killed")
