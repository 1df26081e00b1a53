"""One page: raw bytes in; text, facts and the map back to the bytes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from seedstock.corpus.extract import content, extractors, repair
from seedstock.corpus.extract.align import align
from seedstock.corpus.extract.compose import bytewise, compose, edited
from seedstock.corpus.extract.config import VERSION, ExtractConfig
from seedstock.corpus.extract.encoding import decode
from seedstock.corpus.extract.facts import facts, licensing, tags
from seedstock.corpus.extract.markup import Page, parse
from seedstock.corpus.extract.spans import SpanMap, Stretch
from seedstock.corpus.rights import marks


@dataclass(frozen=True)
class Extracted:
    """``text`` with ``map`` back to the bytes of the page; what it says of itself (``facts.facts``) and of its rights
    (``rights.marks``).

    ``by`` is the extractor that the text is from ("lines", "trafilatura 2.3.1", …), ``encoding`` how the bytes were
    read, ``repaired`` how many places were mended.
    """

    text: str
    map: SpanMap
    by: str
    encoding: str
    how: str
    unknown: int = 0
    repaired: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    rights: dict[str, Any] = field(default_factory=dict)

    def meta(self) -> dict[str, Any]:
        """What the documents table keeps of it."""
        found = {"by": self.by, "version": VERSION, "encoding": self.encoding, "encoding_by": self.how}
        counts = {"unknown_bytes": self.unknown, "repaired": self.repaired}
        return found | {name: count for name, count in counts.items() if count}


def extract(
    raw: bytes, config: ExtractConfig | None = None, *, charset: str | None = None, url: str | None = None
) -> Extracted:
    """The main content of a page of HTML. ``charset`` is what HTTP declared, ``url`` where it was.

    Raises ValueError where the page is too long or no text; SeedstockError where a package is not installed.
    """
    config = config or ExtractConfig()
    if len(raw) > config.longest:
        raise ValueError(f"a page of {len(raw)} bytes, more than corpus.extract.longest ({config.longest})")
    read = decode(raw, charset)
    page = parse(read.text)
    text, stretches, by = _text(page, config)
    mended = repair.edits(text) if config.repair else []
    if mended:
        text, stretches = edited(text, stretches, mended)
    listed = tags(read.text, page.head)
    return Extracted(
        text,
        bytewise(text, stretches, read, len(raw)),
        by,
        read.encoding,
        read.how,
        read.unknown,
        len(mended),
        facts(read.text, listed, url),
        marks.of_page(licensing(read.text, listed)),
    )


def _text(page: Page, config: ExtractConfig) -> tuple[str, list[Stretch], str]:
    kind = config.kind
    if kind == "all-text":
        return *compose(page, range(len(page.lines))), "all-text"
    if kind == "fast":
        return _foreign(extractors.resiliparse(page.source), page, "resiliparse")
    if kind == "quality" and not extractors.hard(page):
        return _foreign(extractors.trafilatura(page.source), page, "trafilatura")
    lines = content.texts(page)
    likely = content.probabilities(page, lines)
    chosen = set(np.flatnonzero(likely > 0.5).tolist())
    ask = kind == "union" or (kind == "router" and content.doubt(likely, lines) > config.doubt)
    if ask and not extractors.hard(page):
        theirs = extractors.trafilatura(page.source)
        if kind == "union":
            return *compose(page, sorted(chosen | _held(page, lines, theirs))), "union"
        own = compose(page, sorted(chosen))
        # In doubt the classifier has mostly left out: the longer text is the better one on more pages.
        if len(theirs) > len(own[0]):
            return _foreign(theirs, page, "trafilatura")
        return *own, "lines"
    return *compose(page, sorted(chosen)), "lines"


def _foreign(text: str, page: Page, package: str) -> tuple[str, list[Stretch], str]:
    # Some take characters that no table can hold.
    text = text.strip().encode("utf-8", "replace").decode()
    return text, align(text, page), extractors.version(package)


def _held(page: Page, lines: list[str], text: str) -> set[int]:
    """The lines of a page that a text holds, in its order; short ones only beside others."""
    flat = " ".join(text.split())
    found, at = set[int](), 0
    for number, line in enumerate(lines):
        place = flat.find(line, at) if len(line) < 40 else flat.find(line)
        if place >= 0 and (len(line) >= 40 or place - at < 200):
            found.add(number)
            at = max(at, place + len(line))
    return found
