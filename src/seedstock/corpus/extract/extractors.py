"""The extractors of other packages, each a function from markup to text, within bounds of size."""

from __future__ import annotations

from functools import cache
from importlib import metadata

from seedstock.corpus.extract.reading import Reading
from seedstock.corpus.sources.base import needs

BLOCKS = 20_000  # of a page: what has more takes trafilatura minutes, and is a list or an archive
LENGTH = 4 * 2**20  # characters


def hard(reading: Reading) -> bool:
    """Whether a page is too large for an extractor whose time grows faster than the page."""
    return reading.blocks > BLOCKS or len(reading.read.text) > LENGTH


def resiliparse(source: str, everything: bool = False) -> str:
    """The main content by resiliparse's rules; or all text."""
    take = needs("resiliparse.extract.html2text", "resiliparse, which extracts text,", "web").extract_plain_text
    return take(source, main_content=not everything, alt_texts=False, links=False, comments=False)


def trafilatura(source: str) -> str:
    """The main content by trafilatura without its fall-backs, and without readers' comments."""
    library = needs("trafilatura", "trafilatura, which extracts text,", "web")
    # Its own fall-backs cost a third of its time; articles gain nothing by them, and pages in doubt are no better.
    return library.extract(source, fast=True, include_comments=False) or ""


@cache
def version(package: str) -> str:
    """``trafilatura 2.3.1``."""
    return f"{package} {metadata.version(package)}"
