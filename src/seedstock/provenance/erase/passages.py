"""Finds and removes verbatim passages of given texts in other texts, whatever the line breaks."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

MARK = "[forgotten]"
SHORTEST = 32
_BLOCK = 16
_MOST_PLACES = 64
_FEWEST_KINDS = 6
_SPACE = re.compile(r"\s+")


class Passages:
    """The texts to be found, indexed by their aligned blocks of 16 characters.

    A passage counts as quoted from ``SHORTEST`` characters on (white space collapsed): each such passage holds a whole
    aligned block. Shorter texts, and ``exact`` strings such as locators, are found as a whole. Rules of dashes and
    their kin (fewer than 6 kinds of character) are nobody's content.
    """

    def __init__(self, texts: Iterable[str], exact: Iterable[str] = ()) -> None:
        self._texts: list[str] = []
        self._blocks: dict[str, list[tuple[int, int]]] = defaultdict(list)
        whole = {_SPACE.sub(" ", text).strip() for text in exact}
        for text in {_SPACE.sub(" ", text).strip() for text in texts}:
            if len(text) < SHORTEST:
                whole.add(text)
                continue
            for at in range(0, len(text) - _BLOCK + 1, _BLOCK):
                places = self._blocks[text[at : at + _BLOCK]]
                if len(places) < _MOST_PLACES:
                    places.append((len(self._texts), at))
            self._texts.append(text)
        wanted = sorted((text for text in whole if len(text) >= 8), key=lambda text: (-len(text), text))
        spaced = (re.escape(text).replace("\\ ", r"\s+") for text in wanted)
        # Not inside a longer name: `a/b.py` is another document than `x/a/b.py`.
        self._whole = re.compile(rf"(?<![\w./-])(?:{'|'.join(spaced)})(?![\w/-])") if wanted else None

    def __bool__(self) -> bool:
        return bool(self._blocks or self._whole)

    def scrub(self, text: str) -> str:
        """``text`` with every quoted passage replaced by a mark; the very same object where there is none."""
        spans = self.find(text)
        if not spans:
            return text
        pieces, end = [], 0
        for start, stop in spans:
            pieces += [text[end:start], MARK]
            end = stop
        return "".join([*pieces, text[end:]])

    def find(self, text: str) -> list[tuple[int, int]]:
        """The (start, end) character offsets of quoted passages, sorted and disjoint."""
        spans = [match.span() for match in self._whole.finditer(text)] if self._whole else []
        if self._blocks and len(text) >= _BLOCK:
            flat, offsets = _collapse(text)
            spans += [(offsets[start], offsets[stop - 1] + 1) for start, stop in self._blocks_in(flat)]
        merged: list[tuple[int, int]] = []
        for start, stop in sorted(spans):
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
            else:
                merged.append((start, stop))
        return merged

    def _blocks_in(self, flat: str) -> list[tuple[int, int]]:
        found, at = [], 0
        while at <= len(flat) - _BLOCK:
            places = self._blocks.get(flat[at : at + _BLOCK])
            if not places:
                at += 1
                continue
            start, stop = max((self._grown(flat, at, *place) for place in places), key=lambda span: span[1] - span[0])
            if stop - start >= SHORTEST and len(set(flat[start:stop])) >= _FEWEST_KINDS:
                found.append((start, stop))
                at = stop - _BLOCK + 1
            else:
                at += 1
        return found

    def _grown(self, flat: str, at: int, number: int, place: int) -> tuple[int, int]:
        """The longest shared passage around a shared block."""
        text, start, stop = self._texts[number], at, at + _BLOCK
        begin, end = place, place + _BLOCK
        while start and begin and flat[start - 1] == text[begin - 1]:
            start, begin = start - 1, begin - 1
        while stop < len(flat) and end < len(text) and flat[stop] == text[end]:
            stop, end = stop + 1, end + 1
        return start, stop


def _collapse(text: str) -> tuple[str, list[int]]:
    """``text`` with runs of white space as one space, and where each character of that stands in ``text``."""
    pieces: list[str] = []
    offsets: list[int] = []
    end = 0
    for match in _SPACE.finditer(text):
        pieces += [text[end : match.start()], " "]
        offsets += range(end, match.start() + 1)
        end = match.end()
    return "".join([*pieces, text[end:]]), [*offsets, *range(end, len(text))]
