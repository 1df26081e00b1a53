"""Edits: spans of a text that are replaced when it is read; the text itself is stored as it was.

Offsets count the bytes of the document's whole text: where a document was cut in two (``held_out: {tail: …}``), both
parts have its id, and an edit belongs to the part whose span it lies in.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from seedstock.errors import DataError
from seedstock.ledger.ids import ID_BYTES

if TYPE_CHECKING:
    import pyarrow as pa

Edit = tuple[int, int, str, str]  # first byte, last byte + 1, kind, replacement


@cache
def schema() -> pa.Schema:
    """Arrow schema of edits/."""
    import pyarrow as pa

    return pa.schema(
        [
            ("id", pa.binary(ID_BYTES)),
            ("start", pa.int64()),
            ("end", pa.int64()),
            ("kind", pa.string()),
            ("replacement", pa.string()),
        ]
    )


def write(path: Path, edits: Iterable[tuple[bytes, int, int, str, str]]) -> None:
    """Writes a part of edits/ from (id, start, end, kind, replacement) in any order."""
    import pyarrow as pa

    from seedstock.corpus import tables

    names = schema().names
    rows = [dict(zip(names, values, strict=True)) for values in sorted(edits)]
    tables.write(path, pa.Table.from_pylist(rows, schema=schema()))


def ordered(edits: Iterable[Edit], length: int, where: str) -> list[Edit]:
    """Edits by position, without overlaps: of two that overlap the one that starts first stands, grown over both.

    Raises DataError where one reaches outside of the ``length`` bytes of the text.
    """
    result: list[Edit] = []
    for edit in sorted(edits, key=lambda edit: (edit[0], -edit[1], edit[2], edit[3])):
        start, end, kind, replacement = edit
        if not 0 <= start <= end <= length:
            raise DataError(f"an edit of {kind!r} from {start} to {end} lies outside of {length} bytes", where=where)
        if result and start < result[-1][1]:
            first = result[-1]
            result[-1] = (first[0], max(first[1], end), first[2], first[3])
        else:
            result.append((start, end, kind, replacement))
    return result


def apply(text: str, edits: Iterable[tuple[int, int, str]]) -> str:
    """The text with ordered (start, end, replacement) made, offsets being bytes of its UTF-8 form.

    A span that cuts a character in two raises UnicodeDecodeError.
    """
    data, at, pieces = text.encode(), 0, []
    for start, end, replacement in edits:
        pieces += [data[at:start].decode(), replacement]
        at = end
    return "".join([*pieces, data[at:].decode()])


def unedited(start: int, end: int, edits: Iterable[tuple[int, int, str]]) -> list[tuple[int, int]]:
    """Where bytes [start, end) of an edited text lie in the unedited one; of a replacement, all that it stands for.

    ``edits`` are ordered (start, end, replacement) in bytes of the unedited text.
    """
    found: list[tuple[int, int]] = []
    old = new = 0  # as far as both texts are read

    def add(low: int, high: int) -> None:
        if found and found[-1][1] == low:
            found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))

    def plain(until: int | None) -> None:
        low = max(start, new)
        high = end if until is None else min(end, new + until - old)
        if low < high:
            add(old + low - new, old + high - new)

    for first, last, replacement in edits:
        plain(first)
        new += first - old
        size = len(replacement.encode())
        if start < new + size and new < end:
            add(first, last)
        new, old = new + size, last
    plain(None)
    return found
