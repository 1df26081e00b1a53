"""Puts chosen lines of a page together into a text, with the place in the source of every stretch of it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from seedstock.corpus.extract.encoding import Decoded
from seedstock.corpus.extract.markup import Page
from seedstock.corpus.extract.spans import SpanMap, Stretch

PIECE = re.compile(r"&(?:#[0-9]{1,9}|#[xX][0-9a-fA-F]{1,8}|[A-Za-z][A-Za-z0-9]{1,31});?|\s+|[^&\s]+(?: [^&\s]+)*|&")
PLAIN = re.compile(r"[^&\s]++(?: [^&\s]++)*+")
VERBATIM = re.compile(r"&(?:#[0-9]{1,9}|#[xX][0-9a-fA-F]{1,8}|[A-Za-z][A-Za-z0-9]{1,31});?|[^&]+|&")
CLOSE = frozenset({"li", "dt", "dd", "tr", "option"})
CELLS = frozenset({"td", "th"})
VERBATIM_IN = frozenset({"pre", "xmp", "listing"})
BEYOND = re.compile("[^\x00-\x7f]{1,8}|[\x00-\x7f]+")
WIDE = re.compile(".{1,8}", re.S)  # for encodings in which no character is one byte


def compose(page: Page, chosen: Iterable[int]) -> tuple[str, list[Stretch]]:
    """(text, stretches in characters of the text and of the source) of the lines with these numbers.

    Blocks are parted by an empty line, lines of one block, items and rows by a line break, cells of a row by a tab.
    Whitespace is folded but for ``pre``.
    """
    parts: list[str] = []
    stretches: list[Stretch] = []
    size, before = 0, -1
    verbatim: dict[int, bool] = {}
    for number in chosen:
        line = page.lines[number]
        kept, places = _line(page, line.runs, _is_verbatim(page, line.node, verbatim))
        if not kept:
            continue
        if before >= 0:
            gap = _gap(page, before, number)
            parts.append(gap)
            size += len(gap)
        stretches += [(start + size, end + size, low, high) for start, end, low, high in places]
        parts.append(kept)
        size += len(kept)
        before = number
    return "".join(parts), stretches


def _line(page: Page, runs: list[tuple[int, int]], verbatim: bool) -> tuple[str, list[Stretch]]:
    source, out, size = page.source, list[str](), 0
    places: list[Stretch] = []
    pattern = VERBATIM if verbatim else PIECE
    for start, stop in runs:
        if stop - start > 1 and not verbatim and PLAIN.fullmatch(source, start, stop):
            out.append(source[start:stop])
            places.append((size, size + stop - start, start, stop))
            size += stop - start
            continue
        for match in pattern.finditer(source, start, stop):
            piece, (low, high) = match[0], match.span()
            first = piece[0]
            if first == "&":
                piece = html.unescape(piece)
                if piece.isspace() and not verbatim:  # a no-break space folds as others do
                    piece = " "
            elif not verbatim and first.isspace():
                piece = " "
            if piece == " " and not verbatim and (not size or out[-1].endswith(" ")):
                continue
            out.append(piece)
            places.append((size, size + len(piece), low, high))
            size += len(piece)
    text = "".join(out)
    kept = text.rstrip() if not verbatim else text.strip("\n").rstrip()
    cut = len(text) - len(text.lstrip("\n")) if verbatim else 0
    return kept, [
        _within(place, cut, cut + len(kept)) for place in places if place[1] > cut and place[0] < cut + len(kept)
    ]


def _within(place: Stretch, first: int, last: int) -> Stretch:
    """A stretch cut to [first, last) of the text, and counted from there."""
    start, end, low, high = place
    if end - start == high - low:
        low, high = low + max(0, first - start), high - max(0, end - last)
    return max(start, first) - first, min(end, last) - first, low, high


def _is_verbatim(page: Page, node: int, known: dict[int, bool]) -> bool:
    if node <= 0:
        return False
    if node not in known:
        known[node] = page.tags[node] in VERBATIM_IN or _is_verbatim(page, page.parents[node], known)
    return known[node]


def _gap(page: Page, before: int, after: int) -> str:
    one, two = page.lines[before], page.lines[after]
    if one.node == two.node:
        return "\n" if after == before + 1 else "\n\n"
    kinds = page.tags[one.node], page.tags[two.node]
    if kinds[0] in CELLS and kinds[1] in CELLS:
        return "\t" if page.parents[one.node] == page.parents[two.node] else "\n"
    return "\n" if kinds[1] in CLOSE and kinds[0] in CLOSE else "\n\n"


def bytewise(text: str, stretches: list[Stretch], page: Decoded, length: int) -> SpanMap:
    """The map in bytes: of the text in UTF-8, and of the ``length`` raw bytes of the page.

    Where the encoding keeps a state, so that parts of the page cannot be counted by themselves, the whole text is one
    stretch of the whole page.
    """
    if page.encoding != "utf-8":
        pattern = WIDE if page.encoding.startswith(("utf-16", "utf-32")) else BEYOND
        stretches = [part for stretch in stretches for part in _by_width(text, stretch, pattern)]
    ours = _bytes_at(text, [at for start, end, _, _ in stretches for at in (start, end)], "utf-8")
    theirs = _bytes_at(page.kept, [at for _, _, low, high in stretches for at in (low, high)], page.encoding)
    if theirs is None or ours is None or theirs[len(page.kept)] + page.offset != length:
        return SpanMap.of([(0, len(text.encode()), 0, length)])
    return SpanMap.of(
        (ours[start], ours[end], theirs[low] + page.offset, theirs[high] + page.offset)
        for start, end, low, high in stretches
    )


def _by_width(text: str, stretch: Stretch, pattern: re.Pattern[str]) -> Iterable[Stretch]:
    """A stretch in short parts, of ASCII and of the rest: characters are of other lengths in other encodings."""
    start, end, low, high = stretch
    if end - start != high - low or (text.isascii() and pattern is BEYOND):
        return [stretch]
    return [
        (match.start(), match.end(), low + match.start() - start, low + match.end() - start)
        for match in pattern.finditer(text, start, end)
    ]


def _bytes_at(text: str, places: list[int], encoding: str) -> dict[int, int] | None:
    """Where characters begin in the encoded text, its end included; None where it cannot be encoded again."""
    wanted = sorted({*places, len(text)})
    if text.isascii() and encoding not in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
        return {at: at for at in wanted}
    found, at, size = {}, 0, 0
    try:
        for place in wanted:
            size += len(text[at:place].encode(encoding, "surrogateescape"))
            at = place
            found[place] = size
    except UnicodeError:
        return None
    return found


def edited(text: str, stretches: list[Stretch], edits: list[tuple[int, int, str]]) -> tuple[str, list[Stretch]]:
    """A text with ordered edits made, and its stretches: a replacement comes from all that it replaces."""
    out: list[str] = []
    result: list[Stretch] = []
    at, size, index = 0, 0, 0

    def plain(until: int) -> None:
        nonlocal index
        out.append(text[at:until])
        while index < len(stretches) and stretches[index][1] <= at:
            index += 1
        scan = index
        while scan < len(stretches) and stretches[scan][0] < until:
            start, end, low, high = _within(stretches[scan], at, until)
            result.append((start + size, end + size, low, high))
            scan += 1

    for first, last, replacement in edits:
        plain(first)
        size += first - at
        while index < len(stretches) and stretches[index][1] <= first:
            index += 1
        scan, touched = index, []
        while scan < len(stretches) and stretches[scan][0] < last:
            touched.append(_within(stretches[scan], first, last))
            scan += 1
        if touched and replacement:
            result.append((size, size + len(replacement), touched[0][2], touched[-1][3]))
        out.append(replacement)
        size += len(replacement)
        at = last
    plain(len(text))
    return "".join(out), result
