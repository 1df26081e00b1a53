"""Trajectories: episodes of gymnasium-like worlds from .npz files, Minari or D4RL HDF5, or JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from seedstock.corpus.media.types import NPZ, needs
from seedstock.corpus.sources.base import LONGEST, Item, Partition, Source, Unreadable, share
from seedstock.corpus.sources.episodes import LARGEST, NAMES, Arrays, Broken, check, cut, leaves, named, pack, unpack
from seedstock.corpus.sources.files import find, problem, stem, stream

_TEXTS = ("mission", "description", "instruction", "text")
_KNOWN = {name for names in NAMES.values() for name in names}


class Trajectories(Source):
    """An episode is a document: its arrays are a compressed .npz, its mission, where there is one, is the text.

    The arrays are ``observations`` (``observations/NAME`` where there are several), ``actions``, ``rewards``,
    ``terminations``, ``truncations``, under whatever of the usual names they come. An array file that holds several
    episodes is cut where they end. Without ``rewards: optional`` an episode without rewards goes to quarantine. The
    meta holds steps, return, terminated, truncated, and each array's type and shape; nothing pickled is ever loaded.
    """

    kind: Literal["trajectories"] = "trajectories"
    path: str | list[str]
    domain: str | None = "trajectories"
    rewards: Literal["required", "optional"] = "required"
    environment: str | None = None

    def partitions(self) -> list[Partition]:
        found = find(self.path, (".npz", ".hdf5", ".h5", ".jsonl"), f"source {self.name!r}")
        return share([Partition(file.name, file.fingerprint, file.bytes, file.path) for file in found], self.limit)

    def read(self, partition: Partition) -> Iterator[Item | Unreadable]:
        name = stem(partition.name).lower()
        reader = _lines if name.endswith(".jsonl") else _hdf5 if name.endswith((".hdf5", ".h5")) else _npz
        key = "0"
        try:
            for key, arrays, about in reader(partition.payload):
                where = f"{partition.name}#{key}"
                if isinstance(arrays, Broken):
                    yield Unreadable(where, str(arrays))
                else:
                    yield episode_item(where, arrays, about, self.rewards == "required", self.environment)
        except (OSError, Broken) as error:
            yield Unreadable(f"{partition.name}#{key}", f"cannot be read: {problem(error)}")


def episode_item(
    where: str, arrays: Arrays, about: dict[str, Any], rewards: bool, environment: str | None = None
) -> Item | Unreadable:
    """The document of an episode of which ``about`` is told; Unreadable where ``check`` finds it broken."""
    try:
        meta = check(arrays, rewards)
    except Broken as error:
        return Unreadable(where, str(error))
    text = next((about.pop(name) for name in _TEXTS if isinstance(about.get(name), str)), "")
    licence = about.pop("license", None) or about.pop("licence", None)
    environment = about.pop("environment", None) or environment
    return Item(
        locator=where,
        text=text,
        media_type=NPZ,
        media=pack(arrays),
        licence=str(licence) if licence else None,
        licence_evidence="the record of the episode declares it" if licence else None,
        meta=about | meta | ({"environment": environment} if environment else {}),
    )


_Episode = tuple[str, Arrays | Broken, dict[str, Any]]


def _npz(path: str) -> Iterator[_Episode]:
    with stream(path) as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise Broken(f"longer than {LARGEST} bytes")
    arrays = named(unpack(data))
    about = {
        name: str(arrays.pop(name)) for name in list(arrays) if not arrays[name].ndim and arrays[name].dtype.kind == "U"
    }
    arrays = {name: array for name, array in arrays.items() if array.ndim}
    for number, episode in enumerate(cut(arrays)):
        yield str(number), episode, dict(about)


def _lines(path: str) -> Iterator[_Episode]:
    with stream(path) as file:
        number = 0
        while line := file.readline(LONGEST + 1):
            number += 1
            if len(line) > LONGEST:
                while line and not line.endswith(b"\n"):
                    line = file.readline(LONGEST)
                yield str(number), Broken(f"the line is longer than {LONGEST} bytes"), {}
            elif line.strip():
                try:
                    record = json.loads(line)
                    if not isinstance(record, dict):
                        raise Broken("not a JSON object")
                    arrays = named(dict(leaves({key: record[key] for key in record if key in _KNOWN})))
                except (ValueError, RecursionError) as error:
                    reason = error if isinstance(error, Broken) else Broken(f"no episode: {problem(error)}")
                    yield str(number), reason, {}
                    continue
                yield str(number), arrays, {key: value for key, value in record.items() if key not in _KNOWN}


def _hdf5(path: str) -> Iterator[_Episode]:
    """Minari: a group an episode; D4RL: arrays that hold all of them."""
    h5py = needs("h5py", "h5py")
    about = minari_about(Path(path).with_name("metadata.json"))
    try:
        with h5py.File(stream(path) if "://" in path else path, "r") as file:
            keys = sorted((key for key in file if key.startswith("episode_")), key=_number)
            if not keys:
                for number, episode in enumerate(cut(named(_arrays(h5py, file)))):
                    yield str(number), episode, dict(about)
                return
            for key in keys:
                words: dict[str, str] = {}
                try:
                    arrays: Arrays | Broken = named(_arrays(h5py, file[key], words=words))
                except (Broken, OSError, RuntimeError, KeyError) as error:
                    arrays = error if isinstance(error, Broken) else Broken(f"damaged: {problem(error)}")
                yield str(_number(key)), arrays, about | words
    except (RuntimeError, KeyError, ValueError) as error:
        raise Broken(f"not a whole HDF5 file: {problem(error)}") from error


def minari_about(path: Path) -> dict[str, Any]:
    """What Minari's ``metadata.json`` says of a data set; nothing where there is none. Raises Broken."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_bytes()[:LONGEST])
        wanted = {"dataset_id": "dataset", "license": "license", "author": "author", "algorithm_name": "algorithm"}
        about = {ours: found[key] for key, ours in wanted.items() if isinstance(found.get(key), str)}
        spec = found.get("env_spec")
        spec = json.loads(spec) if isinstance(spec, str) else spec
        if isinstance(spec, dict) and isinstance(spec.get("id"), str):
            about["environment"] = spec["id"]
    except (ValueError, AttributeError) as error:
        raise Broken(f"metadata.json: {problem(error)}") from error
    return about


def _number(key: str) -> int:
    last = key.rpartition("_")[2]
    return int(last) if last.isdigit() else 0


def _arrays(
    h5py: Any, group: Any, name: str = "", left: list[int] | None = None, words: dict[str, str] | None = None
) -> dict[str, Any]:
    """The arrays of a group by name; links to other files are not followed, other groups than the usual left out.

    What is seen in words goes into ``words``, the first of it: a mission stays the same over an episode.
    """
    left = [LARGEST] if left is None else left
    found: dict[str, Any] = {}
    for key in group:
        if not name and key not in _KNOWN:
            continue  # infos of a simulator
        if not isinstance(group.get(key, getlink=True), h5py.HardLink):
            raise Broken(f"{key} is a link")
        value, own = group[key], f"{name}/{key}" if name else key
        if isinstance(value, h5py.Group):
            found |= _arrays(h5py, value, own, left, words)
            continue
        if value.external or value.is_virtual:
            raise Broken(f"{own} lies in another file")
        if words is not None and own.startswith("observations/") and h5py.check_string_dtype(value.dtype):
            words |= {"mission": str(value.asstr()[0])} if value.size else {}
            continue
        left[0] -= value.nbytes
        if left[0] < 0:
            raise Broken(f"its arrays are larger than {LARGEST} bytes")
        found[own] = value[()]
    return found
