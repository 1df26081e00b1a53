"""A page that was read: its lines, how likely each is content, and texts of them, by whichever passes there are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from seedstock.corpus.extract import compose, content, markup, markup_native
from seedstock.corpus.extract.encoding import Decoded
from seedstock.corpus.extract.spans import SpanMap, Stretch


@dataclass
class Taken:
    """A text taken from a page; where its characters are from, or, of chosen lines, the map in bytes already."""

    text: str
    stretches: list[Stretch]
    map: SpanMap | None = None
    chosen: list[int] | None = None


@dataclass
class Reading:
    """``raw`` is the page, ``read`` its characters. The compiled passes are used where they were built."""

    raw: bytes
    read: Decoded

    @cached_property
    def native(self) -> markup_native.Native | None:
        """The page as the compiled passes see it; None without them."""
        return markup_native.read(self.read.text, self.data)

    @cached_property
    def data(self) -> bytes:
        """Its characters in UTF-8."""
        return self.raw[self.read.offset :] if self._is_plain else self.read.text.encode("utf-8", "surrogatepass")

    @property
    def _is_plain(self) -> bool:
        """Whether the characters are those of the raw bytes, so that places in their UTF-8 are places in the page."""
        return self.read.encoding == "utf-8" and self.read.kept is self.read.text

    @cached_property
    def page(self) -> markup.Page:
        """Its blocks and lines."""
        return self.native.page if self.native else markup.parse_plainly(self.read.text)

    @property
    def head(self) -> tuple[int, int]:
        """``markup.Page.head``."""
        return self.native.head if self.native else self.page.head

    @property
    def blocks(self) -> int:
        """How many blocks it has."""
        return self.native.found.nodes if self.native else len(self.page.tags)

    @property
    def count(self) -> int:
        """How many lines it has."""
        return self.native.found.lines if self.native else len(self.page.lines)

    @cached_property
    def texts(self) -> list[str]:
        """The lines as they read."""
        return self.native.texts() if self.native and self.count else content.texts(self.page)

    def judged(self) -> tuple[np.ndarray, np.ndarray]:
        """(float32 [lines], int [lines]): how likely each line is content, and its words."""
        if not self.count:
            return np.zeros(0, np.float32), np.zeros(0, np.int32)
        if self.native:
            columns, words = self.native.measured
            return content.judge(columns), words
        return content.probabilities(self.page, self.texts), np.array([text.count(" ") + 1 for text in self.texts])

    def compose(self, chosen: Iterable[int]) -> Taken:
        """The text of the lines with these numbers."""
        numbers = list(chosen)
        if not (self.native and self._is_plain):
            return Taken(*compose.compose(self.page, numbers), chosen=numbers)
        text, spans = self.native.compose(numbers)
        spans.stretches[:, 2:] += self.read.offset
        return Taken(text, [], spans, numbers)

    def edited(self, taken: Taken, edits: list[tuple[int, int, str]]) -> Taken:
        """A text with ordered edits made."""
        stretches = taken.stretches
        if taken.map is not None:
            _, stretches = compose.compose(self.page, taken.chosen or [])
        return Taken(*compose.edited(taken.text, stretches, edits))

    def map(self, taken: Taken) -> SpanMap:
        """From the bytes of a text to those of the page."""
        if taken.map is not None:
            return taken.map
        return compose.bytewise(taken.text, taken.stretches, self.read, len(self.raw))
