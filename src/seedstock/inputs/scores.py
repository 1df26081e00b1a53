"""What is known of each document besides its tokens, as numbers: signals' columns, and what it was read from.

A name is ``SIGNAL.COLUMN`` (``toxicity.score``), or ``document.FIELD``, a text that is stored as its number in the list
of different texts. They are float32, one a document: NaN where a document has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from seedstock.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

PREFIX = "document."
FIELDS = ("source", "domain", "language", "licence", "host", "site")


def host(url: str | None) -> str | None:
    """The host of a URL, without ``www.``."""
    return (urlsplit(url).hostname or "").removeprefix("www.") or None if url else None


def site(url: str | None) -> str | None:
    """The host and the first part of the path, which is who publishes where many share a host."""
    name = host(url)
    first = urlsplit(url or "").path.strip("/").partition("/")[0]
    return f"{name}/{first}" if name and first else name


_FROM_URL: Mapping[str, Callable[[str | None], str | None]] = {"host": host, "site": site}


class Scores:
    """Collects the rows of documents, batch by batch; ``values`` are the different texts of each ``document.`` name."""

    def __init__(self, names: Sequence[str], where: Path) -> None:
        self.names, self.where = tuple(names), where
        self.values: dict[str, list[str]] = {name: [] for name in names if name.startswith(PREFIX)}
        self._numbers: dict[str, dict[str, int]] = {name: {} for name in self.values}
        self._found: dict[str, set[str]] = {}

    @property
    def signals(self) -> tuple[str, ...]:
        """The names that the corpus reader is asked for."""
        return tuple(name for name in self.names if name not in self.values)

    def rows(self, split: str, batch: pa.RecordBatch) -> np.ndarray:
        """float32 ``[rows, names]`` of a batch of the corpus. Raises DataError where a signal gave no finite number."""
        columns = [self._texts(name, batch) if name in self.values else self._score(name, batch) for name in self.names]
        made = np.stack(columns, axis=1).astype(np.float32)
        for column, name in enumerate(self.names):
            if np.isfinite(made[:, column]).any():
                self._found.setdefault(split, set()).add(name)
        return made

    def check(self, split: str) -> None:
        """Raises DataError where no document of a split has one of the scores."""
        for name in self.names:
            if name not in self._found.get(split, ()):
                raise DataError(
                    f"no document of the split {split!r} has {name!r}",
                    where=self.where,
                    fix="name a score that documents of these sources have",
                )

    def _score(self, name: str, batch: pa.RecordBatch) -> np.ndarray:
        column = batch.column(name)
        known = column.is_valid().to_numpy(zero_copy_only=False)
        made = column.to_numpy(zero_copy_only=False).astype(np.float32)
        if (bad := np.flatnonzero(known & ~np.isfinite(made))).size:
            document = bytes(batch.column("id")[bad[0]].as_py()).hex()
            raise DataError(
                f"the signal gave {name} = {made[bad[0]]} for the document {document}",
                where=self.where,
                fix="mend the signal: a score is a finite number, or null where a document has none",
            )
        return np.where(known, made, np.nan)

    def _texts(self, name: str, batch: pa.RecordBatch) -> np.ndarray:
        field = name.removeprefix(PREFIX)
        made: Callable[[Any], str | None] = _FROM_URL.get(field) or (lambda text: text)
        numbers, values = self._numbers[name], self.values[name]
        found = []
        for entry in batch.column("url" if field in _FROM_URL else field).to_pylist():
            text = made(entry)
            if text and text not in numbers:
                numbers[text] = len(values)
                values.append(text)
            found.append(float(numbers[text]) if text else np.nan)
        return np.array(found, np.float32)


def known(name: str, columns: Mapping[str, str]) -> bool:
    """Whether a name is a field of documents, or a column of numbers among a policy's ``SIGNAL.COLUMN`` → type."""
    if name.startswith(PREFIX):
        return name.removeprefix(PREFIX) in FIELDS
    return columns.get(name, "string").startswith(("float", "int", "uint", "bool", "double"))
