"""Draws documents from sources without reading all of them: some partitions, and some documents of each.

Partitions are drawn with a chance in proportion to their bytes (systematic sampling from a keyed order), and documents
inside of one by keyed hash among those that were read: all, or the first ``room`` bytes of a large one. The same seed
draws the same documents. Each document carries a weight, how many of the sources' documents it stands for.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

from seedstock.corpus.sources.base import Item, Partition, Source, Unreadable
from seedstock.ledger.files import read_json, write_json
from seedstock.ledger.ids import digest, keyed

READ = 64 * 2**20  # bytes to read for a drawing, about
EACH = 8  # documents of one partition, where partitions are large
SMALL = 64 * 2**10  # bytes of a partition that is thought to hold one document
FEWEST = 10  # documents of a source


class Drawn:
    """A source that gives the documents that are drawn from it, and notes what it read for them."""

    def __init__(self, source: Source, hits: dict[str, int], each: int, room: int, key: bytes, notes: Path) -> None:
        self.source, self.hits, self.each, self.room = source, hits, each, room
        self.key, self.notes = key, notes
        self.listed: dict[str, Partition] = {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "source":
            raise AttributeError(name)
        return getattr(self.source, name)

    def partitions(self) -> list[Partition]:
        """The drawn ones, with no more bytes than are read of them."""
        room = {name: self.room * hits for name, hits in self.hits.items()}
        return [replace(part, bytes=min(part.bytes, room[part.name])) for part in self.listed.values()]

    def read(self, partition: Partition) -> Iterator[Item | Unreadable]:
        """The documents drawn from one partition, in their order."""
        hits = self.hits[partition.name]
        best: list[tuple[int, int, Item | Unreadable]] = []
        count = size = 0
        whole, failure = True, None
        try:
            for item in self._within(self.listed[partition.name]):
                number = self._number(item.locator, count)
                heapq.heappush(best, (-number, count, item))
                if len(best) > self.each * hits:
                    heapq.heappop(best)
                count += 1
                size += _size(item)
                if size > self.room * hits and len(best) == self.each * hits:
                    whole = False
                    break
        except Exception as error:  # as in a build: what was read before stays
            whole, failure = False, error
        chosen = [item for _, _, item in sorted(best, key=lambda entry: entry[1])]
        note = {"partition": partition.name, "read": count, "bytes": size, "whole": whole}
        write_json(self._note(partition.name), {**note, "drawn": [item.locator for item in chosen]})
        yield from chosen
        if failure is not None:
            raise failure

    def noted(self) -> list[dict[str, Any]]:
        """What was read of each partition; one whose reader died has no note."""
        return [read_json(self._note(name)) for name in self.listed if self._note(name).exists()]

    def _note(self, name: str) -> Path:
        return self.notes / f"{digest([self.source.name, name])[:32]}.json"

    def _number(self, locator: str, count: int) -> int:
        return int.from_bytes(keyed(self.key, "document", f"{locator}\0{count}".encode())[:8], "big")

    def _within(self, partition: Partition) -> Iterator[Item | Unreadable]:
        """What a build would take from the partition: no more than its budget."""
        taken = 0
        for item in self.source.read(partition):
            if partition.budget is not None and isinstance(item, Item):
                taken += _size(item)
                if taken > partition.budget:
                    return
            yield item


def _size(item: Item | Unreadable) -> int:
    if isinstance(item, Unreadable):
        return 0
    text = item.raw if item.raw is not None else (item.text or "").encode(errors="replace")
    return len(text) + len(item.media or b"")


@dataclass(frozen=True)
class Stratum:
    """What was drawn of one source: ``of`` partitions of ``bytes`` in all, in ``draws`` draws."""

    drawn: Drawn
    of: int
    bytes: int
    draws: int

    def complete(self) -> bool:
        """Whether all that the source has was drawn."""
        notes = self.drawn.noted()
        return len(notes) == self.of and all(note["whole"] and note["read"] == len(note["drawn"]) for note in notes)

    def weights(self) -> dict[str, tuple[str, float]]:
        """For each drawn locator its partition, and how many documents of the source it stands for."""
        found: dict[str, tuple[str, float]] = {}
        notes, complete = self.drawn.noted(), self.complete()
        for note in notes:
            size = max(1, self.drawn.listed[note["partition"]].bytes)
            # Of a partition that was not read to its end, as many documents a byte as in what was read.
            documents = note["read"] * (1.0 if note["whole"] else max(1.0, size / max(1, note["bytes"])))
            hits = self.drawn.hits[note["partition"]]
            weight = hits * self.bytes * documents / (self.draws * size * max(1, len(note["drawn"])))
            stands_for = 1.0 if complete else weight
            found.update((locator, (note["partition"], stands_for)) for locator in note["drawn"])
        return found


def draw(listed: Sequence[tuple[Source, list[Partition]]], count: int, key: bytes, notes: Path) -> list[Stratum]:
    """Chooses the partitions to draw about ``count`` documents from; every source gets some."""
    notes.mkdir(parents=True, exist_ok=True)
    sizes = [sum(max(1, part.bytes) for part in parts) for _, parts in listed]
    asked = [max(FEWEST, round(count * size / max(1, sum(sizes)))) for size in sizes]
    strata = []
    draws = [_draws(len(parts), size, number) for (_, parts), size, number in zip(listed, sizes, asked, strict=True)]
    room = max(SMALL, READ // max(1, sum(draws)))
    for (source, parts), size, number, times in zip(listed, sizes, asked, draws, strict=True):
        if not parts:
            continue
        own = keyed(key, "sample", source.name.encode())
        hits = _hits(parts, times, own)
        drawn = Drawn(source, hits, ceil(number / times), room, own, notes)
        drawn.listed = {part.name: part for part in parts if part.name in hits}
        strata.append(Stratum(drawn, len(parts), size, times))
    return strata


def _draws(parts: int, size: int, documents: int) -> int:
    """How many partitions to draw: few where they are large, one a document where they seem to be documents."""
    wanted = max(documents / EACH, documents * SMALL * parts / max(1, size))
    return max(1, min(parts, documents, ceil(wanted)))


def _hits(parts: Sequence[Partition], draws: int, key: bytes) -> dict[str, int]:
    """How often each partition is drawn: systematically along the bytes of all, in a keyed order."""
    order = sorted(parts, key=lambda part: (keyed(key, "partition", part.name.encode()), part.name))
    total = sum(max(1, part.bytes) for part in order)
    start = int.from_bytes(keyed(key, "start")[:8], "big") / 2**64
    found: dict[str, int] = {}
    end, at = 0, 0
    for part in order:
        end += max(1, part.bytes)
        while at < draws and (at + start) * total / draws < end:
            found[part.name] = found.get(part.name, 0) + 1
            at += 1
    return found
