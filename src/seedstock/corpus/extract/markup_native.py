"""The compiled passes over a page (``seedstock/native/markup.c`` and beside it), where they were built.

The same blocks, lines and measures as those in Python, and the same texts.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from seedstock.corpus.extract import compiled, features, markup, native_tables
from seedstock.corpus.extract.spans import SpanMap

_MOST = 2**29  # bytes of a page: places are 32-bit numbers
_ASK_DIGITS, _ASK_UPPER = 1, 2


class _Page(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int32) for name in ("nodes", "lines", "runs", "head", "head_end", "root", "root_end")),
        *((name, ctypes.c_void_p) for name in ("parent", "first", "last", "number", "name", "attributes")),
        *((name, ctypes.c_void_p) for name in ("line", "run")),
    ]


class _Measured(ctypes.Structure):
    _fields_ = [
        ("room", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("text", "text_at", "words", "ask", "columns")),
    ]


class _Composed(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("room", "places", "size", "count")),
        *((name, ctypes.c_void_p) for name in ("text", "place")),
    ]


class Native:
    """A page in UTF-8 and its blocks and lines, with places in bytes."""

    def __init__(self, source: str, data: bytes, library: Any) -> None:
        self.source, self.data, self.library = source, data, library
        most = library.seedstock_count(data, len(data), ord("<")) + 2
        # Parent, first, last and number of the name of a block; its name and attributes; the lines; their runs.
        widths = (1, 1, 1, 1, 2, 2, 6, 2)
        room = np.empty(sum(widths) * most, np.int32)
        places = [sum(widths[:at]) * most for at in range(len(widths))]
        parts = [room[at : at + width * most] for at, width in zip(places, widths, strict=True)]
        self.nodes, self.spans = room[: 4 * most].reshape(4, most), room[4 * most : 8 * most].reshape(2, most, 2)
        self.line, self.run = parts[6].reshape(most, 6), parts[7].reshape(most, 2)
        self.known, self.known_names, _ = native_tables.known()
        base = room.ctypes.data
        self.found = _Page(0, 0, 0, 0, 0, 0, 0, *(base + 4 * at for at in places))
        end = len(data)
        opened = data.find(b"<!--", max(0, data.rfind(b"-->")))
        end = opened if opened >= 0 else end
        last = data.rfind(b">", 0, end) + 1
        self.failed = bool(
            library.seedstock_markup(ctypes.byref(self.known), data, len(data), last, end, ctypes.byref(self.found))
        )

    def place(self, at: int) -> int:
        """The number of characters before a byte of the page."""
        return at if len(self.data) == len(self.source) else compiled.characters(self.data, at)

    @property
    def head(self) -> tuple[int, int]:
        """``markup.Page.head``."""
        return self.place(self.found.head), self.place(self.found.head_end)

    @cached_property
    def page(self) -> markup.Page:
        """The page as ``markup.parse_plainly`` gives it, with places in characters."""
        count, lines = self.found.nodes, self.found.lines
        where = np.arange(len(self.data) + 1)
        if len(self.data) != len(self.source):
            starts = (np.frombuffer(self.data, np.uint8) & 0xC0) != 0x80
            where = np.concatenate([[0], np.cumsum(starts)])
        page = markup.Page(self.source, head=self.head)
        if self.found.root_end:
            page.names[0] = markup.named(self._text(self.found.root, self.found.root_end))
        for number, (low, high), (start, stop) in zip(
            *(rows[1:count].tolist() for rows in (self.nodes[3], self.spans[0], self.spans[1])), strict=True
        ):
            known = number < len(self.known_names)
            page.tags.append(self.known_names[number] if known else self._text(low, high).lower())
            page.names.append(markup.named(self._text(start, stop)) if stop > start else "")
        page.parents, page.first, page.last = (self.nodes[row, :count].tolist() for row in range(3))
        runs = list(map(tuple, where[self.run[: self.found.runs]].tolist()))
        begin = 0
        for node, chars, linked, links, broken, stop in self.line[:lines].tolist():
            page.lines.append(markup.Line(node, runs[begin:stop], chars, linked, links, bool(broken)))
            begin = stop
        return page

    def _text(self, low: int, high: int) -> str:
        return self.data[low:high].decode("utf-8", "surrogatepass")

    @cached_property
    def measured(self) -> tuple[np.ndarray, np.ndarray]:
        """(``features.measure``, int32 [lines] words) of a page with at least one line."""
        lines = self.found.lines
        run = self.run[: self.found.runs]
        room = 3 * int((run[:, 1] - run[:, 0]).sum()) + 8
        text, at = np.empty(room, np.uint8), np.zeros(lines + 1, np.int64)
        words, ask = np.empty(lines, np.int32), np.empty(lines, np.uint8)
        columns = np.zeros((lines, features.COLUMNS), np.float32)
        out = _Measured(room, *(array.ctypes.data for array in (text, at, words, ask, columns)))
        if self.library.seedstock_features(
            ctypes.byref(self.known), self.data, ctypes.byref(self.found), ctypes.byref(out)
        ):
            raise MemoryError("the features of a page")
        flat, at = text[: at[-1]].tobytes(), at.tolist()
        for number in np.flatnonzero(ask).tolist():
            line = flat[at[number] : at[number + 1]].decode("utf-8", "replace")
            if ask[number] & _ASK_DIGITS:
                columns[number, features.DIGITS] = line[:1].isdigit() + line[-1:].isdigit()
            if ask[number] & _ASK_UPPER:
                columns[number, features.UPPER] = line[:80].isupper()
        self._lines = flat, at
        return columns, words

    def texts(self) -> list[str]:
        """``content.texts``."""
        _ = self.measured
        flat, at = self._lines
        return [flat[low:high].decode("utf-8", "surrogatepass") for low, high in pairwise(at)]

    def compose(self, chosen: Iterable[int]) -> tuple[str, SpanMap]:
        """``compose.compose``, with the map in bytes of the text and of the page."""
        text, spans = self.compose_bytes(chosen)
        return text.decode("utf-8", "surrogatepass"), spans

    def compose_bytes(self, chosen: Iterable[int]) -> tuple[bytes, SpanMap]:
        """``compose`` with the text in UTF-8."""
        numbers = np.array(list(chosen), np.int32)
        run = self.run[: self.found.runs]
        room = 2 * int((run[:, 1] - run[:, 0]).sum()) + 16 * len(numbers) + 16
        text, places = np.empty(room, np.uint8), 4 * len(run) + 256
        while True:
            place = np.empty((places, 4), np.int64)
            out = _Composed(room, places, 0, 0, text.ctypes.data, place.ctypes.data)
            pointers = (ctypes.byref(self.known), self.data, ctypes.byref(self.found), numbers.ctypes.data)
            code = self.library.seedstock_compose(*pointers, len(numbers), ctypes.byref(out))
            if not code:
                return text[: out.size].tobytes(), SpanMap(place[: out.count].copy())
            if code == 1 or places > room:
                raise MemoryError("the text of a page")
            places *= 8


def read(source: str, data: bytes) -> Native | None:
    """A page, of which ``data`` is the UTF-8; None where the passes were not built, are switched off, or the page is
    not for them."""
    library = compiled.library()
    if library is None:
        return None
    if len(data) >= _MOST:
        return None
    native = Native(source, data, library)
    return None if native.failed else native
