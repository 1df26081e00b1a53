"""Minari: episodes of a data set on this machine, read by minari itself, whichever way it stores them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from seedstock.corpus.sources.base import Item, Partition, Source, Unreadable, needs, share
from seedstock.corpus.sources.episodes import Broken, leaves, named
from seedstock.corpus.sources.files import expand, find, problem
from seedstock.corpus.sources.trajectories import episode_item, minari_about

_PIECE = 100  # episodes of a partition
_FIELDS = ("observations", "actions", "rewards", "terminations", "truncations")


class Minari(Source):
    """The episodes of the Minari data set ``dataset`` (``D4RL/door/human-v2``), each as ``trajectories`` has it; HDF5
    and Arrow.

    Data sets lie in ``folder``, by default where minari keeps them (``$MINARI_DATASETS_PATH``, or
    ``~/.minari/datasets``). Nothing is downloaded: ``minari download DATASET`` does that. What is seen in words (a
    mission) is the document's text, as it is first, and no array. Without ``rewards: optional`` an episode
    without rewards goes to quarantine.
    """

    kind: Literal["minari"] = "minari"
    dataset: Annotated[str, Field(pattern=r"^([\w.-]+/)*[\w.-]+-v\d+$", description="its id, version included")]
    folder: str | None = None
    domain: str | None = "trajectories"
    rewards: Literal["required", "optional"] = "required"

    def partitions(self) -> list[Partition]:
        from seedstock.ledger.ids import digest

        place, where = self._place(), f"source {self.name!r}"
        files = find(str(place), ("",), where)
        mark, size = digest([[file.name, file.fingerprint] for file in files]), sum(file.bytes for file in files)
        count = int(_opened(place, where).total_episodes)
        firsts = range(0, count, _PIECE)
        parts = [(first, range(first, min(first + _PIECE, count))) for first in firsts]
        named = ((f"{self.dataset}/{first // _PIECE:05}", size * len(own) // count, own) for first, own in parts)
        return share([Partition(name, mark, each, own) for name, each, own in named], self.limit)

    def read(self, partition: Partition) -> Iterator[Item | Unreadable]:
        place = self._place()
        found = _opened(place, f"source {self.name!r}")
        about = minari_about(place / "metadata.json")
        for number in partition.payload:
            where = f"{self.dataset}#{number}"
            try:
                episode = next(iter(found.iterate_episodes([number])))
                values = dict(leaves({name: getattr(episode, name) for name in _FIELDS}))
                words, arrays = _told(values)
                yield episode_item(where, named(arrays), about | words, self.rewards == "required")
            except Broken as error:
                yield Unreadable(where, str(error))
            except Exception as error:  # h5py, pyarrow and pillow raise a dozen kinds of error over damaged bytes
                yield Unreadable(where, f"damaged: {problem(error)}")

    def _place(self) -> Path:
        where = f"source {self.name!r}"
        own = os.environ.get("MINARI_DATASETS_PATH") or "~/.minari/datasets"
        return expand(self.folder or own, where) / self.dataset / "data"


def _opened(place: Path, where: str) -> Any:
    """Raises DataError without minari, and where there is no such data set."""
    from seedstock.errors import DataError

    library = needs("minari", "minari", "worlds")
    try:
        return library.MinariDataset(place)
    except Exception as error:
        fix = "minari download DATASET, or mend dataset and folder"
        raise DataError(f"no data set of Minari: {problem(error)}", where=f"{where}: {place}", fix=fix) from error


def _told(values: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """What is seen in words, one text, and everything else."""
    words = {name: one for name, one in values.items() if isinstance(one, list) and one and isinstance(one[0], str)}
    arrays = {name: one for name, one in values.items() if name not in words}
    return {"mission": " ".join(one[0] for one in words.values())} if words else {}, arrays
