"""Reading shards of items: arrays by stratum, and the tables that say which document every item is of.

A stratum's items are numbered from 0, and its documents follow one another in the table, each with its number of items:
what ``Shards`` answers of positions in a stream holds of items here.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from seedstock.inputs.items.config import Field
from seedstock.inputs.shards import Shards, Stratum, _map, _Stream

PRESENT = "present"
"""uint8 of every item: 0 where it was erased."""


class _Items(_Stream):
    """One stratum's arrays, memory-mapped at first use."""

    def __init__(self, folder: Path, entry: dict[str, Any], fields: dict[str, Field]) -> None:
        self.folder, self.entry, self.fields = folder, entry, fields
        self.tokens = int(entry["items"])

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """``[items, …]`` by field."""
        return {name: self._open(name, field) for name, field in self.fields.items()}

    def _open(self, name: str, field: Field) -> np.ndarray:
        path, count = self.folder / self.entry["fields"][name], self.tokens
        values = int(np.prod(field.shape, dtype=np.int64)) * count
        found = _map(path, lambda path: np.memmap(path, np.dtype(field.dtype), "r"), values)
        return found.reshape(count, *field.shape)


class ItemShards(Shards):
    """A folder of item shards. A stratum's ``tokens`` are its items."""

    def __init__(self, folder: Path, index: dict[str, Any]) -> None:
        self.folder, self.index = Path(folder), index
        self.specials: dict[str, int] = index["specials"]
        self.vocab_size: int = index["vocab_size"]
        given = {name: Field(one["dtype"], tuple(one["shape"])) for name, one in index["fields"].items()}
        self.fields = {**given, PRESENT: Field("|u1")}
        self.labels: list[str] = index.get("labels", [])
        self._streams = {
            (split, entry["stratum"]): _Items(self.folder, entry, self.fields)
            for split, entries in index["splits"].items()
            for entry in entries
        }

    def strata(self, split: str) -> list[Stratum]:
        """The strata of a split, by number; ``bytes`` are of media and texts."""
        names = Stratum.__dataclass_fields__
        entries = (
            {"repeats": 1, "band": -1, **entry, "tokens": entry["items"]} for entry in self.index["splits"][split]
        )
        return [Stratum(**{name: entry[name] for name in names}) for entry in entries]

    def streams(self, split: str) -> list[Stratum]:
        """The strata with one place more: an item needs none after it, as the last token of a window does."""
        return [replace(stratum, tokens=stratum.tokens + 1) for stratum in self.strata(split)]

    def items(self, split: str, stratum: int, numbers: np.ndarray) -> dict[str, np.ndarray]:
        """The fields of items: arrays ``[B, …]`` as stored. Raises DataError for a stratum that is not there."""
        stream: Any = self._stream(split, stratum)
        return {name: array[numbers] for name, array in stream.arrays.items()}
