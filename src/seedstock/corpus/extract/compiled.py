"""The compiled passes over pages (``seedstock/native``), where they were built; the searches over a whole page."""

from __future__ import annotations

import ctypes
import importlib.util
import os
from functools import cache
from typing import Any

import numpy as np

from seedstock.native import OFF

CONTROLS = bytes([*range(9), 11, *range(14, 32), 127])
"""Control characters that no text has: all but tab, line feed, form feed and carriage return."""


def library() -> Any:
    """The compiled functions, or None where they were not built or are switched off."""
    return None if os.environ.get(OFF, "1") == "0" else _library()


@cache
def _library() -> Any:
    found = importlib.util.find_spec("seedstock.native._markup")
    if found is None or not found.origin:
        return None
    whole, size, pointer, text = ctypes.c_int, ctypes.c_int64, ctypes.c_void_p, ctypes.c_char_p
    functions = {
        "markup": (whole, [pointer, text, size, size, size, pointer]),
        "features": (whole, [pointer, text, pointer, pointer]),
        "compose": (whole, [pointer, text, pointer, pointer, size, pointer]),
        "controls": (size, [text, size]),
        "count": (size, [text, size, ctypes.c_int32]),
        "characters": (size, [text, size]),
        "find": (size, [text, size, text, size, size, size, pointer]),
    }
    try:
        loaded = ctypes.CDLL(found.origin)
        for name, (result, arguments) in functions.items():
            function = getattr(loaded, f"seedstock_{name}")
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError):  # built for another machine, or from older sources
        return None
    return loaded


def has_controls(data: bytes) -> bool:
    """Whether a text in UTF-8 has control characters that no text has."""
    if found := library():
        return bool(found.seedstock_controls(data, len(data)))
    return len(data.translate(None, CONTROLS)) != len(data)


def characters(data: bytes, stop: int) -> int:
    """How many characters of UTF-8 begin before byte ``stop``."""
    if found := library():
        return int(found.seedstock_characters(data, stop))
    return len(data[:stop].decode("utf-8", "surrogatepass"))


def places(data: bytes, word: bytes, begin: int, most: int) -> list[int]:
    """Where a word stands from ``begin`` on, none inside another; the first ``most`` of them."""
    if found := library():
        out = np.empty(most, np.int64)
        count = found.seedstock_find(data, len(data), word, len(word), begin, most, out.ctypes.data)
        return out[:count].tolist()
    at, listed = data.find(word, begin), list[int]()
    while at >= 0 and len(listed) < most:
        listed.append(at)
        at = data.find(word, at + len(word))
    return listed
