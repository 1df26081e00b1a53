"""Reading shards: token streams by stratum, and the tables that say which document every token is of. Needs numpy only.

A stream is one stratum's documents, one after another, each BOS + tokens + EOS; a position is a place in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from seedstock.errors import DataError, IntegrityError
from seedstock.ledger.files import read_json

FORMAT = 1
DOCUMENT = np.dtype([("id", "u1", (16,)), ("tokens", "<u4")])
SCORE = np.dtype("<f4")


@dataclass(frozen=True)
class Stratum:
    """The documents of one (source, domain, language) in one split; ``bytes`` are of their UTF-8 text.

    ``repeats`` is how often they are to be seen for once of other documents: more than 1 where the corpus re-hydrates
    what it deduplicated. ``band`` is that of the corpus' curriculum, -1 without one.
    """

    stratum: int
    source: str
    domain: str
    language: str
    tokens: int
    documents: int
    bytes: int
    repeats: int = 1
    band: int = -1


class _Stream:
    """One stratum's stream over its files, and its table of documents, both memory-mapped at first use."""

    def __init__(self, folder: Path, entry: dict[str, Any], dtype: np.dtype, pad: int) -> None:
        self.folder, self.entry, self.dtype, self.pad = folder, entry, dtype, pad
        self.tokens = int(entry["tokens"])
        self._ends = np.cumsum([file["tokens"] for file in entry["files"]])

    @cached_property
    def _files(self) -> list[np.ndarray]:
        return [
            _map(self.folder / file["path"], lambda path: np.memmap(path, self.dtype, "r"), file["tokens"])
            for file in self.entry["files"]
        ]

    @cached_property
    def documents(self) -> np.ndarray:
        """The table of documents: structured array of ``DOCUMENT``."""
        path = self.folder / self.entry["table"]
        return _map(path, lambda path: np.load(path, mmap_mode="r", allow_pickle=False), self.entry["documents"])

    @cached_property
    def scores(self) -> np.ndarray:
        """Scores of the documents: float32 ``[documents, names]``."""
        path = self.folder / self.entry["scores"]
        return _map(path, lambda path: np.load(path, mmap_mode="r", allow_pickle=False), self.entry["documents"])

    @cached_property
    def starts(self) -> np.ndarray:
        """Where each document starts, and last where the stream ends: int64 ``[documents + 1]``."""
        starts = np.zeros(len(self.documents) + 1, np.int64)
        np.cumsum(self.documents["tokens"], out=starts[1:])
        if starts[-1] != self.tokens:
            raise IntegrityError(
                f"its documents have {starts[-1]} tokens, the stream {self.tokens}",
                where=self.folder / self.entry["table"],
                fix="build the shards again",
            )
        return starts

    def read(self, starts: np.ndarray, length: int) -> np.ndarray:
        """Tokens ``[B, length]`` in the stored type, padded after the stream's end."""
        out = np.empty((len(starts), length), self.dtype)
        which = np.searchsorted(self._ends, starts, "right")
        inside = np.append(self._ends, 0)[which] >= starts + length
        for number in np.unique(which[inside]):
            rows = np.flatnonzero(inside & (which == number))
            windows = np.lib.stride_tricks.sliding_window_view(self._files[number], length)
            out[rows] = windows[starts[rows] - (self._ends[number - 1] if number else 0)]
        for row in np.flatnonzero(~inside):
            out[row] = self._across(int(starts[row]), length)
        return out

    def _across(self, start: int, length: int) -> np.ndarray:
        """One window over the ends of files, or of the stream."""
        parts, stop = [], start + length
        for number, end in enumerate(self._ends):
            begin = int(self._ends[number - 1]) if number else 0
            if start < end and stop > begin:
                parts.append(self._files[number][max(start - begin, 0) : min(stop, int(end)) - begin])
        window = np.full(length, self.pad, self.dtype)
        found = np.concatenate(parts) if parts else window[:0]
        window[: len(found)] = found
        return window


def _map(path: Path, open_: Any, expected: int) -> np.ndarray:
    """A memory-mapped file as a plain array. Raises IntegrityError where it is missing, damaged or of another size."""
    try:
        mapped = np.asarray(open_(path))
    except FileNotFoundError:
        raise IntegrityError("the file is missing", where=path, fix="build the shards again") from None
    except ValueError as error:
        raise IntegrityError(f"not readable: {error}", where=path, fix="build the shards again") from None
    if len(mapped) != expected:
        raise IntegrityError(f"{len(mapped)} entries, {expected} recorded", where=path, fix="build the shards again")
    return mapped


class Shards:
    """A shard folder. ``index`` is its ``index.json``; arrays are read from disk when they are asked for."""

    @staticmethod
    def open(folder: Path) -> Shards:
        """The reader of a shard folder of either kind: of token streams, or of items (``items.shards.ItemShards``)."""
        index = read_json(Path(folder) / "index.json")
        if "fields" not in index:
            return Shards(folder)
        from seedstock.inputs.items.shards import ItemShards

        return ItemShards(folder, index)

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.index: dict[str, Any] = read_json(self.folder / "index.json")
        if self.index.get("format") != FORMAT:
            raise IntegrityError("unknown shard format", where=self.folder / "index.json", fix="use a newer Seedstock")
        self.dtype = np.dtype(self.index["dtype"]).newbyteorder("<")
        self.specials: dict[str, int] = self.index["specials"]
        self.vocab_size: int = self.index["vocab_size"]
        self.score_names: tuple[str, ...] = tuple(self.index.get("scores", ()))
        self.values: dict[str, list[str]] = self.index.get("values", {})
        self.of_pictures = np.array(sorted(self._of_pictures()), np.int64)
        """The ids of tokens that stand for pictures or other media, not for text."""
        self._streams = {
            (split, entry["stratum"]): _Stream(self.folder, entry, self.dtype, self.specials["pad"])
            for split, entries in self.index["splits"].items()
            for entry in entries
        }

    def _of_pictures(self) -> list[int]:
        from seedstock.inputs.items.config import TokensConfig

        for name, one in TokensConfig.coding().items():
            if name in self.index:
                config = one.model_validate(self.index[name]["config"])
                return [self.specials[special] for special in config.specials()]
        return []

    def strata(self, split: str) -> list[Stratum]:
        """The strata of a split, by number."""
        names = Stratum.__dataclass_fields__
        entries = ({"repeats": 1, "band": -1, **entry} for entry in self.index["splits"].get(split, []))
        return [Stratum(**{name: entry[name] for name in names}) for entry in entries]

    def streams(self, split: str) -> list[Stratum]:
        """The strata as a plan counts their windows: of each stream's tokens, the last one is nobody's input."""
        return self.strata(split)

    def read(self, split: str, stratum: int, starts: np.ndarray, length: int) -> np.ndarray:
        """Tokens ``[B, length]`` (in the stored type) from each start on; the pad id after the end of the stream."""
        return self._stream(split, stratum).read(np.asarray(starts, np.int64), length)

    def boundaries(self, split: str, stratum: int, starts: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Documents and positions of windows, int64 ``[B, length]`` each.

        Documents count from 0 in each window, positions from 0 at the window's start and at every document's start.
        What lies after the end of the stream has document -1.
        """
        stream = self._stream(split, stratum)
        begins = stream.starts
        starts = np.asarray(starts, np.int64)
        first = np.searchsorted(begins, starts, "right")
        inner = np.searchsorted(begins, starts + length, "left") - first
        rows = np.repeat(np.arange(len(starts)), inner)
        places = begins[np.arange(inner.sum()) + np.repeat(first - (np.cumsum(inner) - inner), inner)] - starts[rows]
        documents = np.zeros((len(starts), length), np.int64)
        documents[rows, places] = 1
        np.cumsum(documents, axis=1, out=documents)
        resets = np.zeros((len(starts), length), np.int64)
        resets[rows, places] = places
        np.maximum.accumulate(resets, axis=1, out=resets)
        for row in np.flatnonzero(starts + length > stream.tokens):
            documents[row, max(stream.tokens - starts[row], 0) :] = -1
        return documents, np.arange(length) - resets

    def scores(self, split: str, stratum: int, starts: np.ndarray, length: int) -> np.ndarray:
        """The scores of the document that each token of windows belongs to: float32 ``[B, length, names]``.

        In the order of ``score_names``; NaN where a document has none, was erased, and after the end of the stream.
        """
        stream = self._stream(split, stratum)
        places = np.asarray(starts, np.int64)[:, None] + np.arange(length)
        numbers = np.searchsorted(stream.starts, places, "right") - 1
        inside = numbers < len(stream.scores)
        found = stream.scores[np.where(inside, numbers, 0)]
        return np.where(inside[..., None], found, np.float32(np.nan))

    def document_scores(self, split: str, name: str) -> tuple[np.ndarray, np.ndarray]:
        """One score of every document of a split, float32 ``[D]``, and its tokens, int64 ``[D]``.

        Raises DataError where the shards hold no such score.
        """
        if name not in self.score_names:
            held = ", ".join(self.score_names) or "none"
            raise DataError(f"these shards hold no score {name!r}; they hold {held}", where=self.folder)
        streams = [stream for (own, _), stream in self._streams.items() if own == split]
        column = self.score_names.index(name)
        scores = [np.zeros(0, SCORE), *(stream.scores[:, column] for stream in streams)]
        tokens = [np.zeros(0, np.int64), *(stream.documents["tokens"].astype(np.int64) for stream in streams)]
        return np.concatenate(scores), np.concatenate(tokens)

    def document_at(self, split: str, stratum: int, position: int) -> tuple[bytes, int, int]:
        """The (id, start, tokens) of the document that a position belongs to."""
        stream = self._stream(split, stratum)
        if not 0 <= position < stream.tokens:
            raise DataError(f"position {position} is outside of the stream's {stream.tokens} tokens", where=self.folder)
        number = int(np.searchsorted(stream.starts, position, "right")) - 1
        return self._document(stream, number)

    def documents(self, split: str, stratum: int) -> tuple[np.ndarray, np.ndarray]:
        """All documents of a stratum: ids, uint8 ``[D, 16]``, and starts, int64 ``[D + 1]`` (the last: the end)."""
        stream = self._stream(split, stratum)
        return stream.documents["id"], stream.starts

    def spans(self, split: str, stratum: int, start: int, stop: int) -> list[tuple[bytes, int, int]]:
        """The documents of stream positions [start, stop): (id, from, to), clipped to them."""
        stream = self._stream(split, stratum)
        start, stop = max(start, 0), min(stop, stream.tokens)
        if start >= stop:
            return []
        low = int(np.searchsorted(stream.starts, start, "right")) - 1
        high = int(np.searchsorted(stream.starts, stop, "left"))
        found = (self._document(stream, number) for number in range(low, high))
        return [(name, max(begin, start), min(begin + tokens, stop)) for name, begin, tokens in found]

    def occurrences(self, document: bytes) -> list[tuple[str, int, int, int]]:
        """Every (split, stratum, start, tokens) of a document; a scan of the tables of documents."""
        wanted = np.frombuffer(document, np.uint8)
        found = []
        for (split, stratum), stream in self._streams.items():
            for number in np.flatnonzero((stream.documents["id"] == wanted).all(axis=1)):
                found.append((split, stratum, *self._document(stream, int(number))[1:]))
        return found

    @staticmethod
    def _document(stream: _Stream, number: int) -> tuple[bytes, int, int]:
        start, stop = stream.starts[number : number + 2]
        return stream.documents["id"][number].tobytes(), int(start), int(stop - start)

    def _stream(self, split: str, stratum: int) -> _Stream:
        try:
            return self._streams[split, stratum]
        except KeyError:
            raise DataError(f"there is no stratum {stratum} in the split {split!r}", where=self.folder) from None
