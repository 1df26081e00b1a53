"""Labelled texts that are in no shards: test sets, read from their files, and how they overlap with training."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from seedstock.corpus.media.types import Undecodable
from seedstock.corpus.sources.base import Unreadable
from seedstock.errors import DataError
from seedstock.inputs.items.config import Document
from seedstock.inputs.items.loader import PRESENT
from seedstock.inputs.keys import Keys
from seedstock.inputs.loader import Batch, hand_over


class Given:
    """Items as an objective's examples: what ``HeldOutItems`` is for a split."""

    def __init__(self, items: list[dict[str, Any]], prepare: Any) -> None:
        self.prepare, self.seed, self.numbers = prepare, 0, np.arange(len(items))
        self.fields = {name: np.stack([one[name] for one in items]) for name in items[0]}

    def batches(self, size: int, prepare: Callable[[Batch, Keys], Any] | None = None) -> Iterator[Batch]:
        """Batches of up to ``size`` texts."""
        for start in range(0, len(self.numbers), size):
            rows = self.numbers[start : start + size]
            own = {name: values[rows] for name, values in self.fields.items()}
            batch = {"examples": rows, "strata": np.zeros_like(rows), "starts": rows, **own}
            yield hand_over({**batch, PRESENT: np.ones(len(rows), bool)}, prepare or self.prepare, self.seed)


class Labelled(Given):
    """The texts of a source, with their classes.

    ``names`` are the classes of training and, after them, those that only this source has; ``labels`` int64 ``[N]``
    are numbers of these (-1: none). ``fingerprint`` is of what was read, ``left_out`` how many gave nothing. Raises
    DataError where nothing is left.
    """

    def __init__(self, source: Any, config: Any, tokenizer: Any, classes: Iterable[str], prepare: Any) -> None:
        self.fingerprint, self.names, self.left_out = source.fingerprint(), list(classes), 0
        found: list[dict[str, Any]] = []
        labels: list[str | None] = []
        self.marks: list[bytes] = []
        for item in _items(source):
            if isinstance(item, Unreadable):
                self.left_out += 1
                continue
            text = item.text if item.text is not None else (item.raw or b"").decode(item.encoding, "replace")
            value = item.meta.get(config.label) if config.label else None
            try:
                found += config.items(Document(None, text, item.language or "und", item.meta), tokenizer)
            except Undecodable:
                self.left_out += 1
                continue
            labels.append(None if value is None else str(value))
            self.marks.append(mark(text))
        if not found:
            raise DataError(f"the source {source.name!r} has no texts to score", fix="see its path, fields and label")
        numbers = {name: number for number, name in enumerate(self.names)}
        for name in sorted({one for one in labels if one is not None} - numbers.keys()):
            numbers[name] = len(self.names)
            self.names.append(name)
        self.labels = np.array([-1 if one is None else numbers[one] for one in labels], np.int64)
        super().__init__(found, prepare)
        self.fields["label"] = self.labels

    def apart(self, training: set[bytes]) -> np.ndarray:
        """bool ``[N]``: texts that no training document has, as ``mark`` compares them."""
        return np.array([one not in training for one in self.marks])


def mark(text: str) -> bytes:
    """A digest of a text without its capitals and runs of spaces."""
    return hashlib.blake2b(" ".join(text.casefold().split()).encode(), digest_size=16).digest()


def marks(corpus: Any, split: str = "train") -> set[bytes]:
    """Of every document of a split."""
    return {mark(text) for batch in corpus.texts(split=split) for text in batch.column("text").to_pylist()}


def _items(source: Any) -> Iterator[Any]:
    for partition in source.partitions():
        yield from source.read(partition)
