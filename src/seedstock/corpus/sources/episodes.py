"""Episodes of worlds as arrays: how they are checked, described and stored."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np

LARGEST = 2**30  # bytes of the arrays of a file that is read as a whole, or of one episode
NAMES = {
    "observations": ("observations", "obs", "states", "observation", "state"),
    "actions": ("actions", "acts", "action"),
    "rewards": ("rewards", "rews", "reward"),
    "terminations": ("terminations", "terminals", "terminated", "dones", "done"),
    "truncations": ("truncations", "timeouts", "truncated"),
}
REAL = "biuf"  # kinds of arrays that hold real numbers
Arrays = dict[str, np.ndarray]


class Broken(ValueError):
    """Why an episode cannot be used, in a few words."""


def leaves(tree: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Nested dicts as ``observations/image``, tuples as ``observations/_index_0``, which is what Minari calls them."""
    if isinstance(tree, tuple):
        tree = {f"_index_{number}": one for number, one in enumerate(tree)}
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, f"{name}/{key}" if name else str(key))
    else:
        yield name, tree


def named(arrays: dict[str, Any]) -> Arrays:
    """Arrays under the names that are used here, whatever theirs are; others keep theirs (``observations/image``)."""
    found: Arrays = {}
    for key, value in arrays.items():
        first, slash, rest = key.partition("/")
        name = next((ours for ours, theirs in NAMES.items() if first in theirs), first) + slash + rest
        array = np.asarray(value)
        if array.dtype.hasobject:
            raise Broken(f"{key} holds Python objects, or rows of different lengths")
        found[name] = array
    return found


def check(episode: Arrays, rewards: bool) -> dict[str, Any]:
    """The meta of an episode: steps, return, terminated, truncated, arrays. Raises Broken.

    Observations may have one row more than there are steps: the last state.
    """
    if "actions" not in episode:
        raise Broken("an episode without actions")
    steps = len(episode["actions"]) if episode["actions"].ndim else 0
    if not steps:
        raise Broken("an episode without steps")
    if rewards and "rewards" not in episode:
        raise Broken("an episode without rewards")
    seen = [name for name in episode if name.partition("/")[0] == "observations"]
    if not seen:
        raise Broken("an episode without observations")
    for name, array in episode.items():
        more = name in seen
        if (more or name in NAMES) and array.dtype.kind not in REAL:
            raise Broken(f"{name} holds {array.dtype.name}, and no real numbers")
        if not array.ndim or len(array) not in ((steps, steps + 1) if more else (steps,)):
            have = len(array) if array.ndim else "no"
            raise Broken(f"{name} has {have} rows for {steps} actions")
        if array.dtype.kind in "fc" and not np.isfinite(array).all():
            raise Broken(f"{name} has numbers that are not finite")
    about: dict[str, Any] = {"steps": steps}
    if "rewards" in episode:
        with np.errstate(over="ignore"):
            total = float(np.sum(episode["rewards"], dtype=np.float64))
        if not np.isfinite(total):
            raise Broken("rewards add up to more than a number can hold")
        about["return"] = round(total, 6)
    for name, key in (("terminations", "terminated"), ("truncations", "truncated")):
        if name in episode:
            about[key] = bool(episode[name][-1])
    about["arrays"] = {name: [array.dtype.str, *array.shape] for name, array in sorted(episode.items())}
    return about


def cut(arrays: Arrays) -> Iterator[Arrays]:
    """The episodes of arrays that hold many one after another, which end where a step terminates or is truncated.

    Steps after the last end are an episode too: the recording stopped there.
    """
    ends = np.zeros(0, np.int64)
    marks = [arrays[name].astype(bool).reshape(-1) for name in ("terminations", "truncations") if name in arrays]
    if marks:
        if len({len(mark) for mark in marks}) > 1:
            raise Broken("terminations and truncations differ in length")
        ends = np.flatnonzero(np.logical_or.reduce(marks)) + 1
    steps = len(arrays["actions"]) if "actions" in arrays and arrays["actions"].ndim else 0
    if len(ends) < 2 and (not len(ends) or ends[-1] == steps):
        yield arrays
        return
    if ends[-1] < steps:
        ends = np.append(ends, steps)
    for start, stop in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True):
        yield {name: array[start:stop] if array.ndim else array for name, array in arrays.items()}


def pack(episode: Arrays) -> bytes:
    """An episode as a compressed .npz file: equal arrays give equal bytes under one version of zlib."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in sorted(episode.items()):
            one = io.BytesIO()
            np.lib.format.write_array(one, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), one.getvalue(), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def unpack(data: bytes | io.BufferedIOBase) -> Arrays:
    """The arrays of a .npz file. Raises Broken where it is damaged, pickled, or larger than ``LARGEST`` unpacked."""
    file: Any = io.BytesIO(data) if isinstance(data, bytes) else data
    try:
        with zipfile.ZipFile(file) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > LARGEST:
                raise Broken(f"its arrays are larger than {LARGEST} bytes")
            found = {}
            for entry in archive.infolist():
                with archive.open(entry) as member:
                    # zipfile stops at the size that the directory gives, so that the sum above holds.
                    found[entry.filename.removesuffix(".npy")] = np.lib.format.read_array(
                        io.BytesIO(member.read()), allow_pickle=False
                    )
            return found
    except Broken:
        raise
    except Exception as error:  # zip, zlib and numpy raise a dozen kinds of error over damaged bytes
        text = str(error).splitlines()
        if "allow_pickle" in str(error) or "Object arrays" in str(error):
            raise Broken("it holds pickled Python objects, which are never loaded") from error
        raise Broken(f"not a whole .npz file: {text[0][:200] if text else type(error).__name__}") from error
