"""What the compiled passes over a page (``native/page.h``) have to know, as tables: names, hints, references."""

from __future__ import annotations

import ctypes
import html
from functools import cache
from html.entities import html5
from typing import Any

import numpy as np

from seedstock.corpus.extract import compose, features, markup

RAW, FENCE, PASSES, IS_P, IS_HEAD, CELL, ITEM, VERBATIM = (1 << at for at in range(8))
NAME = 16  # bytes of a known name, with a zero
LOW = 160  # numbers of character references that do not all mean the character of that number
LETTERS = 26
BEGIN, END = LETTERS, LETTERS + 1  # of a word, as symbols of the automaton
_POINTERS = (
    *("names", "kinds", "marks", "ends", "tags", "above", "next", "found"),
    *("article", "text", "body", "characters", "endings"),
    *("entities", "entity", "entity_at", "value", "value_at", "low"),
)
_OTHERS: dict[str, Any] = {
    **dict.fromkeys(("article", "text", "body"), ctypes.c_uint64),
    "characters": ctypes.c_int32 * 2,
    "entities": ctypes.c_int32,
}


_FIELDS: list[tuple[str, Any]] = [("n", ctypes.c_int32)]
_FIELDS += [(name, _OTHERS.get(name, ctypes.c_void_p)) for name in _POINTERS]


class Known(ctypes.Structure):
    """``Known`` of page.h."""

    _fields_ = _FIELDS


@cache
def known() -> tuple[Known, list[str], list[Any]]:
    """The tables, the known names of elements by their numbers, and the arrays that the tables point into."""
    names = sorted(
        {*markup.KINDS, *markup.CLOSED_BY, *(name for group in markup.CLOSED_BY.values() for name in group)}
        | {*markup.FENCE, *markup.PASSES, *features.TAG_BITS, *features.ABOVE_BITS, *compose.VERBATIM_IN}
    )
    at = {name: number for number, name in enumerate(names)}
    marks = [
        RAW * (name in markup.RAW)
        + FENCE * (name in markup.FENCE)
        + PASSES * (name in markup.PASSES)
        + IS_P * (name == "p")
        + IS_HEAD * (name == "head")
        + CELL * (name in compose.CELLS)
        + ITEM * (name in compose.CLOSE)
        + VERBATIM * (name in compose.VERBATIM_IN)
        for name in names
    ]
    ends = np.zeros((len(names), len(names)), np.uint8)
    for name, group in markup.CLOSED_BY.items():
        for other in group:
            ends[at[name], at[other]] = 1
    steps, found = automaton(features.WORDS, features.SHIFT)
    entities = sorted((name.encode(), value.encode()) for name, value in html5.items())
    low = [html.unescape(f"&#{number};") for number in range(LOW)]
    arrays: dict[str, np.ndarray] = {
        "names": np.frombuffer(b"".join(name.encode().ljust(NAME, b"\0") for name in names), np.uint8),
        "kinds": np.array([markup.KINDS.get(name, markup.BLOCK) for name in names], np.uint8),
        "marks": np.array(marks, np.uint8),
        "ends": ends,
        "tags": np.array([features.TAG_BITS.get(name, 0) for name in names], np.uint16),
        "above": np.array([features.ABOVE_BITS.get(name, 0) for name in names], np.uint64),
        "next": steps,
        "found": found,
        "endings": np.array([ord(char) for char in (*features.ENDS, *features.QUOTES)], np.int32),
        "low": np.array([ord(char) if char else -1 for char in low], np.int32),
    }
    for name, column in (("entity", 0), ("value", 1)):
        parts = [pair[column] for pair in entities]
        arrays[name] = np.frombuffer(b"".join(parts), np.uint8)
        arrays[f"{name}_at"] = np.cumsum([0, *map(len, parts)], dtype=np.int32)
    table = Known(
        n=len(names),
        article=features.ARTICLE,
        text=features.TEXT,
        body=features.BODY,
        characters=(ctypes.c_int32 * 2)(len(features.ENDS), len(features.QUOTES)),
        entities=len(entities),
        **{name: array.ctypes.data for name, array in arrays.items()},
    )
    return table, names, list(arrays.values())


def automaton(groups: tuple[str, ...], shift: int) -> tuple[np.ndarray, np.ndarray]:
    """int16 [states, 28] and uint64 [states]: which groups a word matches (Aho and Corasick 1975), by bits.

    The first group is bit ``shift``. A group is an alternation of small letters, between ``^`` and ``$`` where it is
    bound to an end of the word; these ends are symbols of their own.
    """
    children: list[dict[int, int]] = [{}]
    found = [0]
    for number, group in enumerate(groups):
        for literal in group.split("|"):
            symbols = [BEGIN if char == "^" else END if char == "$" else ord(char) - ord("a") for char in literal]
            state = 0
            for symbol in symbols:
                if symbol not in children[state]:
                    children[state][symbol] = len(children)
                    children.append({})
                    found.append(0)
                state = children[state][symbol]
            found[state] |= 1 << (shift + number)
    steps = np.zeros((len(children), LETTERS + 2), np.int16)
    fail = [0] * len(children)
    queue = [0]
    for state in queue:
        if state:
            steps[state] = steps[fail[state]]
            found[state] |= found[fail[state]]
        for symbol, child in children[state].items():
            fail[child] = int(steps[state, symbol]) if state else 0
            steps[state, symbol] = child
            queue.append(child)
    return steps, np.array(found, np.uint64)
