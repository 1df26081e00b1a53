"""Lines and paragraphs that an earlier document has: cut out of the later ones.

The first document that has a line keeps it, however often. Compared are 128-bit hashes of the lines, small letters
for ASCII capitals, without the white space around them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seedstock.corpus.dedup import rolling
from seedstock.corpus.dedup.config import Lines, Paragraphs
from seedstock.corpus.dedup.parts import Part, firsts, texts
from seedstock.corpus.dedup.spans import SPAN, Spans
from seedstock.corpus.dedup.spill import Spill, by_hash, parts_for
from seedstock.corpus.utf8 import raw
from seedstock.corpus.words import mix, pieces
from seedstock.progress import Reporter

if TYPE_CHECKING:
    import pyarrow as pa

PIECE = 1 << 20  # bytes of text at a time
PARTITION = 1 << 20  # records that are sorted at once
MEAN = 64  # bytes a unit, to guess how many there will be
RECORD = np.dtype([("high", "<u8"), ("low", "<u8"), ("row", "<i8")])
UNIT = np.dtype([("high", "<u8"), ("low", "<u8"), ("row", "<i8"), ("start", "<i8"), ("end", "<i8")])
LOWER = np.array([byte + 32 if 65 <= byte <= 90 else byte for byte in range(256)], np.uint8)
_STEP = np.uint64(0x9E6C63D0676A9A99)


def find(step: Lines, parts: Sequence[Part], folder: Path, reporter: Reporter) -> Spans:
    """What to cut out of which rows. Memory holds the text of a part, and one partition of the lines' hashes."""
    begins = firsts(parts)
    total = sum(int(np.sum(part.read(["bytes"])["bytes"].to_numpy())) for part in parts)
    seen = Spill(folder, f"{step.kind}-seen", parts_for(total // MEAN, PARTITION), RECORD)
    with reporter.bar(f"reading {step.kind}", len(parts), "parts") as bar:
        for number, part in enumerate(parts):
            for found in _units(step, part, int(begins[number])):
                found = found[np.unique(_key(found), return_index=True)[1]]
                records = found[["high", "low", "row"]].astype(RECORD)
                seen.add(records, by_hash(records["high"], seen.partitions))
            bar.advance()
    later = Spill(folder, f"{step.kind}-later", max(1, len(parts)), RECORD)
    for records in seen.all():
        repeated = _later(records, step.documents)
        later.add(repeated, np.searchsorted(begins, repeated["row"], side="right") - 1)
    spans = Spans(folder, step.kind)
    for number, part in enumerate(parts):
        keys = np.unique(_key(later.take(number)))
        if not len(keys):
            continue
        cut = []
        for found in _units(step, part, int(begins[number])):
            found = found[np.isin(_key(found), keys)]
            cut.append(found[["row", "start", "end"]].astype(SPAN))
        spans.save(number, np.concatenate(cut))
    return spans


def _key(records: np.ndarray) -> np.ndarray:
    """One uint64 for a line of a document."""
    return mix(records["high"] ^ mix(records["row"].astype(np.uint64))) ^ records["low"]


def _later(records: np.ndarray, documents: int) -> np.ndarray:
    """The records of hashes that at least ``documents`` rows have, without each hash's first row."""
    records = records[np.lexsort((records["row"], records["low"], records["high"]))]
    same = (records["high"][1:] == records["high"][:-1]) & (records["low"][1:] == records["low"][:-1])
    begins = np.concatenate([[True], ~same])[: len(records)]
    group = np.cumsum(begins) - 1
    opens = begins.copy()
    opens[1:] |= records["row"][1:] != records["row"][:-1]
    rows = np.bincount(group[opens], minlength=1)
    first = records["row"][np.flatnonzero(begins)][group]
    return records[(rows[group] >= documents) & (records["row"] != first)]


def _units(step: Lines, part: Part, first: int) -> Iterator[np.ndarray]:
    """``UNIT`` records of a part, a piece at a time: lines or paragraphs of ``minimum`` bytes and more."""
    for inside, column in texts([part], np.arange(part.rows)):
        at = 0
        for piece in pieces(column, PIECE):
            found = lines(piece)
            if isinstance(step, Paragraphs):
                found = _paragraphs(found)
            full = (found["high"] != 0) | (found["low"] != 0)
            found = found[full & (found["end"] - found["start"] >= step.minimum)]
            found["row"] = inside[at + found["row"]] + first
            at += len(piece)
            yield found


def lines(text: pa.Array) -> np.ndarray:
    """``UNIT`` records of every line: its text (a number from 0), its bytes with its line feed, its hashes.

    Lines of white space alone have hashes of 0.
    """
    data, offsets = raw(text)
    data = data[offsets[0] : offsets[-1]]
    offsets = offsets - offsets[0]
    feeds = np.flatnonzero(data == 10) + 1
    starts = np.unique(np.concatenate([offsets[:-1][np.diff(offsets) > 0], feeds[feeds < len(data)]]))
    ends = np.concatenate([starts[1:], [len(data)]])[: len(starts)]
    found = np.zeros(len(starts), UNIT)
    row = np.searchsorted(offsets, starts, side="right") - 1
    found["row"], found["start"], found["end"] = row, starts - offsets[row], ends - offsets[row]
    begin, end = _trimmed(data, starts, ends)
    found["high"], found["low"] = rolling.segments(LOWER[data], begin, end)
    return found


def _trimmed(data: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Runs without the ASCII white space around them."""
    full = np.flatnonzero((data != 32) & ((data < 9) | (data > 13)))
    low, high = np.searchsorted(full, starts), np.searchsorted(full, ends)
    some = high > low
    begin, end = starts.copy(), starts.copy()
    begin[some], end[some] = full[low[some]], full[high[some] - 1] + 1
    return begin, end


def _paragraphs(found: np.ndarray) -> np.ndarray:
    """Runs of lines that are not empty, as units."""
    full = (found["high"] != 0) | (found["low"] != 0)
    opens = full.copy()
    opens[1:] &= ~full[:-1] | (found["row"][1:] != found["row"][:-1])
    found, opens = found[full], opens[full]
    begins = np.flatnonzero(opens)
    if not len(begins):
        return found
    result = found[begins].copy()
    result["end"] = found["end"][np.concatenate([begins[1:], [len(found)]]) - 1]
    place = np.arange(len(found)) - np.repeat(begins, np.diff([*begins, len(found)]))
    powers = np.cumprod(np.concatenate([np.ones(1, np.uint64), np.full(int(place.max()), _STEP)]))
    for name in ("high", "low"):
        result[name] = mix(np.add.reduceat(mix(found[name]) * powers[place], begins))
    return result
