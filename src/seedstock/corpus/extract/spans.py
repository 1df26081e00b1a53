"""Maps from a text back to the bytes that it was made from.

A map is a list of stretches in the order of the text: bytes [start, end) of the text come from bytes [from, to) of the
raw document. Where both are of one length they are the same bytes, one for one; else (an entity, a character of another
encoding, folded whitespace) the stretch as a whole comes from the other. What no stretch covers was put in between
(a line break between two blocks), and is answered with what lies between the raw neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from seedstock.ledger.ids import ID_BYTES

if TYPE_CHECKING:
    import pyarrow as pa

Stretch = tuple[int, int, int, int]  # text start, text end, raw start, raw end


@dataclass(frozen=True)
class SpanMap:
    """int64 [stretches, 4]: text start, text end, raw start, raw end; sorted, text stretches apart."""

    stretches: np.ndarray

    @classmethod
    def of(cls, stretches: Iterable[Stretch]) -> SpanMap:
        """A map of stretches in the order of the text; neighbours that go on one for one become one."""
        merged: list[list[int]] = []
        for start, end, low, high in stretches:
            if end <= start:
                continue
            if merged:
                last = merged[-1]
                plain = end - start == high - low and last[1] - last[0] == last[3] - last[2]
                if plain and last[1] == start and last[3] == low:
                    last[1], last[3] = end, high
                    continue
            merged.append([start, end, low, high])
        return cls(np.array(merged, np.int64).reshape(-1, 4))

    def resolve(self, start: int, end: int) -> list[tuple[int, int]]:
        """The raw ranges of bytes [start, end) of the text, in the order of the text; those that touch are one."""
        rows = self.stretches
        first = int(np.searchsorted(rows[:, 1], start, "right"))
        last = int(np.searchsorted(rows[:, 0], end, "left"))
        found: list[tuple[int, int]] = []
        for text, stop, low, high in rows[first:last].tolist():
            if stop - text == high - low:
                low, high = low + max(0, start - text), high - max(0, stop - end)
            if found and found[-1][0] <= low <= found[-1][1]:
                found[-1] = (found[-1][0], max(high, found[-1][1]))
            else:
                found.append((low, high))
        if not found and len(rows) and end > start:
            before = int(rows[first - 1, 3]) if first else int(rows[0, 2])
            after = int(rows[first, 2]) if first < len(rows) else before
            found.append((min(before, after), max(before, after)))
        return found

    def exact(self) -> int:
        """How many bytes of the text are known one for one."""
        sizes = self.stretches[:, 1] - self.stretches[:, 0]
        return int(sizes[sizes == self.stretches[:, 3] - self.stretches[:, 2]].sum())

    def record(self) -> dict[str, list[int]]:
        """As stored: gaps and sizes in turn, in the text and in the raw document."""
        rows = self.stretches
        before = np.concatenate([np.zeros((1, 4), np.int64), rows[:-1]])
        pairs = [(0, 1), (2, 3)]
        text, raw = (
            np.stack([rows[:, a] - before[:, b], rows[:, b] - rows[:, a]], 1).ravel().tolist() for a, b in pairs
        )
        return {"text": text, "raw": raw}

    @classmethod
    def read(cls, record: dict[str, Sequence[int]]) -> SpanMap:
        """The other way round."""
        ends = [np.cumsum(np.asarray(record[name], np.int64)).reshape(-1, 2) for name in ("text", "raw")]
        return cls(np.concatenate(ends, 1).reshape(-1, 4))


@cache
def schema() -> pa.Schema:
    """Arrow schema of maps/: row by row beside documents/, null where the text is the raw document itself."""
    import pyarrow as pa

    gaps = pa.list_(pa.int32())
    return pa.schema([("id", pa.binary(ID_BYTES)), ("text", gaps), ("raw", gaps)])


def table(ids: Sequence[bytes], maps: dict[int, SpanMap]) -> pa.Table:
    """maps/ of a piece: ``maps`` by row."""
    import pyarrow as pa

    records: list[dict[str, Any]] = [maps[row].record() if row in maps else {} for row in range(len(ids))]
    columns = {name: [record.get(name) for record in records] for name in ("text", "raw")}
    return pa.table({"id": ids, **columns}, schema=schema())
