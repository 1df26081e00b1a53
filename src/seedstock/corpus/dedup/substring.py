"""Long runs of bytes that stood earlier in the corpus, in any document: all but the first copy is cut out.

What a suffix array finds (Lee et al. 2022, arXiv 2107.06499, "exact substring"), without one for the whole corpus: a
run is repeated where its windows of ``minimum`` bytes are, and windows are compared by 128-bit hashes, sorted a
partition at a time. Before that, winnowed fingerprints in two bitmaps of fixed size tell where in the corpus anything
can be repeated at all; only these places are hashed window by window.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from seedstock.corpus.dedup import rolling
from seedstock.corpus.dedup.config import Substring
from seedstock.corpus.dedup.parts import Part, firsts, texts
from seedstock.corpus.dedup.spans import SPAN, Spans, runs
from seedstock.corpus.dedup.spill import Spill, by_hash, parts_for
from seedstock.corpus.utf8 import raw
from seedstock.corpus.words import mix
from seedstock.progress import Reporter

PARTITION = 1 << 20  # windows that are sorted at once
BLOCK = 1 << 20  # windows of one block, whose repeats among themselves are found before anything is spilled
BITS = (20, 30)  # of the bitmaps: 128 MiB each at most
SLOTS = 64  # bits a fingerprint: one in 30 that is not repeated looks so
FAR = 64  # bytes: where no word ends so near, the script has no spaces, and characters are enough
WINDOW = np.dtype([("high", "<u8"), ("low", "<u8"), ("position", "<i8")])  # position * 2 + whether it is repeated
SPACES = b" \t\r\n"


def find(step: Substring, parts: Sequence[Part], folder: Path, reporter: Reporter) -> Spans:
    """What to cut out of which rows. Memory holds the text of a part, the bitmaps, and a partition of windows."""
    sizes = [int(np.sum(part.read(["bytes"])["bytes"].to_numpy())) for part in parts]
    bases = np.cumsum([0, *sizes]).astype(np.int64)
    seen = Seen(sum(sizes), step.minimum)
    with reporter.bar("reading fingerprints", len(parts), "parts") as bar:
        for part in parts:
            data, offsets, _ = _text(part)
            for _, hashes in rolling.chosen(data, offsets[1:], step.minimum // 2, step.minimum):
                seen.add(hashes)
            bar.advance()
    windows = Spill(folder, "windows", parts_for(sum(sizes) // 4, PARTITION), WINDOW)
    covered = Spill(folder, "covered", max(1, len(parts)), np.dtype("<i8"))
    with reporter.bar("comparing substrings", len(parts), "parts") as bar:
        for number, part in enumerate(parts):
            data, offsets, _ = _text(part)
            for records, repeats in _windows(data, offsets, step.minimum, seen):
                records["position"] += 2 * bases[number]
                windows.add(records, by_hash(records["high"], windows.partitions))
                covered.add(2 * (repeats + bases[number]), number)
            bar.advance()
    for records in windows.all():
        marks = _marks(records)
        covered.add(marks, np.searchsorted(bases, marks >> 1, side="right") - 1)
    spans = Spans(folder, step.kind)
    begins = firsts(parts)
    for number, part in enumerate(parts):
        marks = covered.take(number)
        if len(marks):
            spans.save(number, _cut(step, part, marks, int(bases[number]), int(begins[number])))
    return spans


class Seen:
    """Which fingerprints occur, and which occur at two places: two bitmaps; what is not repeated may look so."""

    def __init__(self, size: int, minimum: int) -> None:
        wanted = SLOTS * (4 * size // minimum + 1)
        self.bits = min(max(math.ceil(math.log2(wanted)), BITS[0]), BITS[1])
        self.once, self.twice = (np.zeros((1 << self.bits) // 8, np.uint8) for _ in range(2))

    def add(self, hashes: np.ndarray) -> None:
        """Enters the fingerprints of different places."""
        slots, counts = np.unique(self._slots(hashes), return_counts=True)
        if len(slots):
            _set(self.twice, slots[(counts > 1) | _get(self.once, slots)])
            _set(self.once, slots)

    def repeated(self, hashes: np.ndarray) -> np.ndarray:
        """Which fingerprints may occur at another place too, bool."""
        return _get(self.twice, self._slots(hashes))

    def _slots(self, hashes: np.ndarray) -> np.ndarray:
        # Chosen hashes are the smallest of many: they are scattered again.
        return (mix(hashes) >> np.uint64(64 - self.bits)).astype(np.int64)


def _get(bitmap: np.ndarray, slots: np.ndarray) -> np.ndarray:
    return (bitmap[slots >> 3] >> (slots & 7).astype(np.uint8)) & 1 > 0


def _set(bitmap: np.ndarray, slots: np.ndarray) -> None:
    """Sets bits; ``slots`` ascend."""
    if not len(slots):
        return
    place, first = np.unique(slots >> 3, return_index=True)
    bitmap[place] |= np.bitwise_or.reduceat(np.left_shift(1, slots & 7).astype(np.uint8), first)


def _text(part: Part) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The bytes of a part's texts, one after another: uint8, offsets int64 [rows + 1], and the rows."""
    for inside, column in texts([part], np.arange(part.rows)):
        data, offsets = raw(column)
        return data[offsets[0] : offsets[-1]], offsets - offsets[0], inside
    return np.zeros(0, np.uint8), np.zeros(1, np.int64), np.zeros(0, np.int64)


def _windows(data: np.ndarray, offsets: np.ndarray, length: int, seen: Seen) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """A block at a time: the first of equal windows (``WINDOW``), and the positions of those that follow it."""
    waiting: list[np.ndarray] = []
    count, last = 0, -1
    reach = length - length // 2
    for positions, hashes in rolling.chosen(data, offsets[1:], length // 2, length):
        hits = positions[seen.repeated(hashes)]
        if len(hits):
            # Every window of the wanted length that holds the fingerprint.
            starts = _filled(hits - reach, hits + 1)
            starts = starts[(starts > last) & (starts + length <= len(data))]
            text = np.searchsorted(offsets, starts, side="right")
            waiting.append(starts[starts + length <= offsets[text]])
            count, last = count + len(waiting[-1]), int(hits[-1])
        if count >= BLOCK:
            yield _block(data, np.concatenate(waiting), length)
            waiting, count = [], 0
    if count:
        yield _block(data, np.concatenate(waiting), length)


def _filled(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Every number of the ranges from ``starts`` to ``ends``, ascending, once; both ascend."""
    starts = np.maximum(starts, np.concatenate([[starts[0]], ends[:-1]]))
    lengths = ends - starts
    return np.repeat(starts - (np.cumsum(lengths) - lengths), lengths) + np.arange(int(lengths.sum()))


def _block(data: np.ndarray, starts: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    records = np.empty(len(starts), WINDOW)
    breaks = np.flatnonzero(np.diff(starts) > length) + 1
    for some in np.split(np.arange(len(starts)), breaks):  # stretches of windows are hashed together
        if len(some):
            own = starts[some]
            stretch = data[own[0] : own[-1] + length]
            for which, name in enumerate(("high", "low")):
                records[name][some] = rolling.windows(stretch, length, which)[own - own[0]]
    records["position"] = 2 * starts
    ordered, begins, several = _grouped(records)
    first = ordered[begins]
    first["position"] += several[begins]
    return first, ordered["position"][~begins] >> 1


def _grouped(records: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Records by hash, equal ones by position; which are the first of their group; whose group has several."""
    # What is equal in one half and not in the other is one in 2^64: the second half need not be sorted by.
    ordered = records[np.argsort(np.ascontiguousarray(records["high"]))]
    begins = np.ones(len(ordered), bool)
    begins[1:] = (ordered["high"][1:] != ordered["high"][:-1]) | (ordered["low"][1:] != ordered["low"][:-1])
    group = np.cumsum(begins) - 1
    several = np.bincount(group, minlength=1)[group] > 1
    # A sort that keeps the order of equal ones takes four times as long as this for the few that are equal.
    shared = ordered[several]
    ordered[several] = shared[np.lexsort((shared["position"], group[several]))]
    return ordered, begins, several


def _marks(records: np.ndarray) -> np.ndarray:
    """``position * 2`` of the windows that repeat an earlier one, ``position * 2 + 1`` of those that are repeated."""
    ordered, begins, several = _grouped(records)
    position = ordered["position"] >> 1
    sources = begins & (several | (ordered["position"] & 1 > 0))
    return np.concatenate([2 * position[~begins], 2 * position[sources] + 1])


def _cut(step: Substring, part: Part, marks: np.ndarray, base: int, first: int) -> np.ndarray:
    """The spans of a part: what repeated windows cover, but for what their first copies cover."""
    data, offsets, rows = _text(part)
    repeated, sources, gone = (np.zeros(len(data) + 1, bool) for _ in range(3))
    for at in range(0, len(marks), BLOCK):
        some = marks[at : at + BLOCK]
        repeated[(some[some & 1 == 0] >> 1) - base] = True
        sources[(some[some & 1 > 0] >> 1) - base] = True
    for start, end in runs(repeated, step.minimum):
        gone[start:end] = True
    for start, end in runs(sources, step.minimum):
        gone[start:end] = False
    edges = np.flatnonzero(np.diff(gone.view(np.int8), prepend=np.int8(0)))
    found = []
    for start, end in edges.reshape(-1, 2).tolist():
        text = int(np.searchsorted(offsets, start, side="right")) - 1
        while start < end:  # one run can go on in the next document
            stop = min(end, int(offsets[text + 1]))
            own = data[offsets[text] : offsets[text + 1]].tobytes() if stop > start else b""
            low, high = snapped(own, start - int(offsets[text]), stop - int(offsets[text]), step.snap)
            if high - low >= step.minimum // 4:
                found.append((int(rows[text]) + first, low, high))
            start, text = stop, text + 1
    return np.array(found, SPAN)


def snapped(text: bytes, start: int, end: int, snap: str) -> tuple[int, int]:
    """The span shrunk to whole words or lines, and always to whole characters."""
    edges = b"\n" if snap == "line" else SPACES
    limit = len(text) if snap == "line" else FAR
    if 0 < start < len(text) and text[start - 1] not in edges and text[start : start + 1].strip(edges):
        near = [at for edge in edges if (at := text.find(edge, start, min(end, start + limit))) >= 0]
        start = min(near) + 1 if near else end if snap == "line" else start
    if end < len(text) and text[end] not in edges and text[end - 1] not in edges:
        near = [at for edge in edges if (at := text.rfind(edge, max(start, end - limit), end)) >= 0]
        end = max(near) + 1 if near else start if snap == "line" else end
    while start < end and start < len(text) and text[start] & 0xC0 == 0x80:
        start += 1
    while start < end < len(text) and text[end] & 0xC0 == 0x80:
        end -= 1
    return start, max(start, end)
