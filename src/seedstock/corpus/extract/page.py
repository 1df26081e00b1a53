"""One page: raw bytes in; text, facts and the map back to the bytes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from seedstock.corpus.extract import content, extractors, repair
from seedstock.corpus.extract.align import align
from seedstock.corpus.extract.config import VERSION, ExtractConfig
from seedstock.corpus.extract.encoding import decode
from seedstock.corpus.extract.facts import facts, licensing, scripts, tags
from seedstock.corpus.extract.reading import Reading, Taken
from seedstock.corpus.extract.spans import SpanMap
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
    reading = Reading(raw, decode(raw, charset))
    read = reading.read
    taken, by = _take(reading, config)
    mended = repair.edits(taken.text) if config.repair else []
    if mended:
        taken = reading.edited(taken, mended)
    listed, blocks = tags(read.text, reading.head), scripts(read.text)
    return Extracted(
        taken.text,
        reading.map(taken),
        by,
        read.encoding,
        read.how,
        read.unknown,
        len(mended),
        facts(read.text, listed, url, blocks),
        marks.of_page(licensing(read.text, listed, reading.data, blocks)),
    )


def _take(reading: Reading, config: ExtractConfig) -> tuple[Taken, str]:
    kind = config.kind
    if kind == "all-text":
        return reading.compose(range(reading.count)), "all-text"
    source, hard = reading.read.text, extractors.hard(reading)
    if kind == "fast":
        return _foreign(extractors.resiliparse(source), reading, "resiliparse")
    if kind == "quality" and not hard:
        return _foreign(extractors.trafilatura(source), reading, "trafilatura")
    likely, words = reading.judged()
    chosen = np.flatnonzero(likely > 0.5).tolist()
    ask = kind == "union" or (kind == "router" and content.doubt(likely, words) > config.doubt)
    if ask and not hard:
        theirs = extractors.trafilatura(source)
        if kind == "union":
            return reading.compose(sorted({*chosen, *_held(reading.texts, theirs)})), "union"
        own = reading.compose(chosen)
        # In doubt the classifier has mostly left out: the longer text is the better one on more pages.
        if len(theirs) > len(own.text):
            return _foreign(theirs, reading, "trafilatura")
        return own, "lines"
    return reading.compose(chosen), "lines"


def _foreign(text: str, reading: Reading, package: str) -> tuple[Taken, str]:
    # Some take characters that no table can hold.
    text = text.strip().encode("utf-8", "replace").decode()
    return Taken(text, align(text, reading.page)), extractors.version(package)


def _held(lines: list[str], text: str) -> set[int]:
    """The lines of a page that a text holds, in its order; short ones only beside others."""
    flat = " ".join(text.split())
    found, at = set[int](), 0
    for number, line in enumerate(lines):
        place = flat.find(line, at) if len(line) < 40 else flat.find(line)
        if place >= 0 and (len(line) >= 40 or place - at < 200):
            found.add(number)
            at = max(at, place + len(line))
    return found
