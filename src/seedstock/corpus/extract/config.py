"""``corpus.extract``: how pages of HTML become text."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from seedstock.config import Bytes, Config

VERSION = 1  # raised when other texts come out of the same pages


class ExtractConfig(Config):
    """Which extractor takes the main content of a page, and how large a page may be.

    ``router`` takes the lines that the classifier holds for content, and where it is in doubt the longer of those and
    of ``quality``; ``lines`` is the classifier alone; ``fast`` is resiliparse, ``quality`` trafilatura (its fast form);
    ``union`` is what either of ``lines`` and ``quality`` takes; ``all-text`` is everything that a reader sees.
    ``doubt`` is the words by which the classifier may be wrong over the words taken, above which the router asks.
    ``repair`` mends mojibake and composes characters (NFC). A page above ``longest`` goes to quarantine.
    """

    kind: Literal["router", "lines", "fast", "quality", "union", "all-text"] = "router"
    doubt: Annotated[float, Field(ge=0)] = 0.6
    repair: bool = True
    longest: Annotated[Bytes, Field(gt=0)] = 32 * 2**20
