"""Finds a text in its page again, where an extractor keeps no places: a monotone matching of lines, then of words."""

from __future__ import annotations

import re

from seedstock.corpus.extract.compose import compose
from seedstock.corpus.extract.markup import Page
from seedstock.corpus.extract.spans import Stretch

WORD = re.compile(r"\S+")
NEAR = 2000  # characters of the page that are searched for the next word of a line that is not found whole


def align(text: str, page: Page) -> list[Stretch]:
    """Stretches of ``text`` in characters of the page's source; what is not found has none."""
    whole, places = compose(page, range(len(page.lines)))
    # One space for any whitespace, so that lines that were joined or broken elsewhere are found.
    flat = re.sub(r"\s", " ", whole)
    pairs: list[tuple[int, int, int]] = []  # (start in text, start in flat, length)
    at = begin = 0
    for line in text.split("\n"):
        found = WORD.search(line)
        if found:
            core = line.strip()
            offset = begin + found.start()
            place = flat.find(core, at)
            if place < 0 or (place - at > NEAR and len(core) < 40):
                place = flat.find(core, max(0, at - NEAR), at + NEAR) if len(core) < 40 else flat.find(core)
            if place >= 0:
                pairs.append((offset, place, len(core)))
                at = place + len(core)
            else:
                at = _words(core, offset, flat, at, pairs)
        begin += len(line) + 1
    return _through(pairs, places)


def _words(line: str, offset: int, flat: str, at: int, pairs: list[tuple[int, int, int]]) -> int:
    """Word by word, each after the one before it and not far from it. Returns how far the page is read."""
    words = list(WORD.finditer(line))
    start = 0
    # The first words in a row say where in the page the line is.
    for first in range(min(len(words) - 2, 8)):
        key = line[words[first].start() : words[first + 2].end()]
        place = flat.find(key, at)
        place = flat.find(key) if place < 0 else place
        if place >= 0:
            at, start = place, first
            break
    for word in words[start:]:
        place = flat.find(word[0], at, at + NEAR)
        if place >= 0:
            pairs.append((offset + word.start(), place, len(word[0])))
            at = place + len(word[0])
    return at


def _through(pairs: list[tuple[int, int, int]], places: list[Stretch]) -> list[Stretch]:
    """Stretches text to source, from pairs text to page text and the page text's own stretches."""
    import bisect

    starts = [place[0] for place in places]
    found: list[Stretch] = []
    for begin, place, length in pairs:
        index = max(0, bisect.bisect_right(starts, place) - 1)
        while index < len(places) and places[index][0] < place + length:
            start, end, low, high = places[index]
            index += 1
            if end <= place:
                continue
            first, last = max(start, place), min(end, place + length)
            if end - start == high - low:
                low, high = low + first - start, high - (end - last)
            found.append((begin + first - place, begin + last - place, low, high))
    return found
