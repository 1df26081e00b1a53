"""The whole text of a page of a book: nothing is judged, and nothing is left out but what is no text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_BLOCKS = frozenset(
    re.findall(
        r"\w+",
        "address article aside blockquote body caption dd div dl dt figcaption figure footer h1 h2 h3 h4 h5 h6 header "
        "hr li main nav ol p pre section table tr ul",
    )
)
_APART = frozenset(("p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "table", "ul", "ol", "dl", "hr"))
_SKIPPED = frozenset(("script", "style", "head", "template", "svg", "math-annotation"))
_SPACE = "\x1f"  # stands for a space that is kept
_HEADINGS = ("h1", "h2", "h3")


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.skipped = self.kept = 0
        self.heading: list[str] | None = None
        self.title = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in _SKIPPED:
            self.skipped += 1
        elif tag == "br":
            self.parts.append("\n")
        elif tag in _BLOCKS:
            self._block(tag)
            self.kept += tag == "pre"
            if tag in _HEADINGS and not self.title:
                self.heading = []
        elif tag in ("td", "th"):
            self.parts.append("\t")

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in _SKIPPED:  # ``<script/>`` of XHTML has no end tag
            self.handle_starttag(tag, attributes)
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _SKIPPED:
            self.skipped = max(0, self.skipped - 1)
        elif tag in _BLOCKS:
            self._block(tag)
            self.kept = max(0, self.kept - (tag == "pre"))
            if tag in _HEADINGS and self.heading is not None:
                self.title, self.heading = " ".join("".join(self.heading).split()), None

    def handle_data(self, data: str) -> None:
        if self.skipped:
            return
        kept = data.replace("\r", "").replace(" ", _SPACE)
        self.parts.append(kept if self.kept else re.sub(r"[ \t\r\n\f]+", " ", data))
        if self.heading is not None:
            self.heading.append(data)

    def _block(self, tag: str) -> None:
        self.parts.append("\n\n" if tag in _APART else "\r")


def convert(source: str) -> tuple[str, str]:
    """(text, first heading or "") of an HTML or XHTML page: a blank line between paragraphs, a tab between cells."""
    parser = _Text()
    parser.feed(source)
    parser.close()
    text = re.sub(r" *([\r\n\t]) *", r"\1", "".join(parser.parts))
    text = re.sub(r"[\r\n]+", lambda ends: "\n\n" if "\n\n" in ends[0] else "\n", text)
    return re.sub(r"(?m)^\t", "", text).replace(_SPACE, " ").strip("\n"), parser.title
