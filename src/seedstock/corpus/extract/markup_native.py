"""The compiled markup pass (``seedstock/native/markup.c``), where it was built: the same pages as the one in Python."""

from __future__ import annotations

import ctypes
import importlib.util
import os
from functools import cache
from typing import Any

import numpy as np

from seedstock.corpus.extract import markup
from seedstock.native import OFF

RAW, FENCE, PASSES, IS_P, IS_HEAD = 1, 2, 4, 8, 16
_MOST = 2**31 - 1


class _Known(ctypes.Structure):
    _fields_ = [("n", ctypes.c_int), *((name, ctypes.c_void_p) for name in ("names", "kinds", "marks", "ends"))]


class _Out(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_void_p) for name in ("parent", "first", "last", "name", "attributes", "line", "runs", "other")
    ]


def parse(source: str, last: int, end: int) -> markup.Page | None:
    """``markup.parse_plainly``, or None where the pass was not built, is switched off, or the page is not for it."""
    library = None if os.environ.get(OFF, "1") == "0" else _library()
    if library is None or len(source) >= _MOST:
        return None
    most = source.count("<") + 2
    nodes = np.empty((7, most), np.int32)  # parent, first, last, name and attributes (two each)
    line, runs = np.empty((most, 6), np.int32), np.empty((most, 2), np.int32)
    other = np.zeros(7, np.int32)
    text = source.encode("utf-32-le", "surrogatepass")
    places = [nodes[0], nodes[1], nodes[2], nodes[3:5], nodes[5:7], line, runs, other]
    out = _Out(*(each.ctypes.data for each in places))
    if library.seedstock_markup(text, len(source), last, end, ctypes.byref(_known()[0]), ctypes.byref(out)):
        return None
    count, lines, _, head, head_end, root, root_end = other.tolist()
    page = markup.Page(source, head=(head, head_end))
    if root_end:
        page.names[0] = markup.named(source[root:root_end])
    known: dict[str, str] = {}
    for low, high, start, stop in np.concatenate(
        [places[3].reshape(-1, 2)[1:count], places[4].reshape(-1, 2)[1:count]], 1
    ).tolist():
        page.tags.append(source[low:high].lower())
        attributes = source[start:stop]
        if attributes not in known:
            known[attributes] = markup.named(attributes) if attributes else ""
        page.names.append(known[attributes])
    page.parents, page.first, page.last = (nodes[row, :count].tolist() for row in range(3))
    page.last = [lines if stop < 0 else stop for stop in page.last]
    stretches = [(start, stop) for start, stop in runs[: line[lines - 1, 5] if lines else 0].tolist()]
    begin = 0
    for node, chars, linked, links, broken, stop in line[:lines].tolist():
        page.lines.append(markup.Line(node, stretches[begin:stop], chars, linked, links, bool(broken)))
        begin = stop
    return page


@cache
def _library() -> Any:
    found = importlib.util.find_spec("seedstock.native._markup")
    if found is None or not found.origin:
        return None
    try:
        library = ctypes.CDLL(found.origin)
        size, pointer = ctypes.c_int64, ctypes.c_void_p
        library.seedstock_markup.argtypes = [ctypes.c_char_p, size, size, size, pointer, pointer]
        library.seedstock_markup.restype = ctypes.c_int
    except (OSError, AttributeError):  # built for another machine, or from older sources
        return None
    return library


@cache
def _known() -> tuple[_Known, list[Any]]:
    """What the Python pass knows of names, as tables; with the arrays that they point into."""
    names = sorted({*markup.KINDS, *markup.CLOSED_BY, *(name for group in markup.CLOSED_BY.values() for name in group)})
    names = sorted({*names, *markup.FENCE, "article", "main", "section", "div", "p"})
    at = {name: number for number, name in enumerate(names)}

    kinds = np.array([markup.KINDS.get(name, markup.BLOCK) for name in names], np.uint8)
    passes = {"div", "section", "article", "main"}
    marks = [
        RAW * (name in markup.RAW)
        + FENCE * (name in markup.FENCE)
        + PASSES * (name in passes)
        + IS_P * (name == "p")
        + IS_HEAD * (name == "head")
        for name in names
    ]
    ends = np.zeros((len(names), len(names)), np.uint8)
    for name, group in markup.CLOSED_BY.items():
        for other in group:
            ends[at[name], at[other]] = 1
    buffer = ctypes.create_string_buffer(b"".join(name.encode().ljust(16, b"\0") for name in names))
    kept: list[Any] = [buffer, kinds, np.array(marks, np.uint8), ends]
    table = _Known(len(names), ctypes.addressof(buffer), *(each.ctypes.data for each in kept[1:4]))
    return table, kept
