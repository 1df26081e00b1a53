"""What Markdown and reStructuredText files say of themselves: front matter, title, language, licence."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from seedstock.corpus.signals import spdx

MARKDOWN, RST = (".md", ".markdown", ".mdx"), (".rst", ".rest")
_FRONT = re.compile(r"\ufeff?(---|\+\+\+)[ \t]*\r?\n(.{0,65536}?\r?\n)\1[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_PAIR = re.compile(r"""^([A-Za-z][A-Za-z0-9_-]*)[ \t]*[:=][ \t]*(?:"([^"\n]*)"|'([^'\n]*)'|([^\n]*?))[ \t\r]*$""", re.M)
_HEADER = re.compile(r"^(:?[A-Za-z][A-Za-z -]{0,40}):[ \t]+(\S[^\n]*?)[ \t\r]*$", re.M)  # of docinfo, or as in PEPs
_ATX = re.compile(r"^ {0,3}#[ \t]+([^\n]*?)[ \t]*#*[ \t\r]*$", re.M)
_SETEXT = re.compile(r"^(?=\S)([^\n]{1,200}?)[ \t\r]*\n {0,3}={2,}[ \t\r]*$", re.M)
_UNDERLINED = re.compile(r"^(?=\S)([^\n]{1,200}?)[ \t\r]*\n([=\-~^\"'`#*+.:_])\2{2,}[ \t\r]*$", re.M)
_FENCE = re.compile(r"^(```|~~~).*?^\1", re.M | re.S)
_TAG = re.compile(r"[a-z]{2,3}(-[A-Za-z]{2,4})?$")
_NAMED = re.compile("ar|bn|cs|da|de|el|en|es|fa|fi|fr|he|hi|hu|id|it|ja|ko|nl|pl|pt|ro|ru|sv|th|tr|uk|vi|zh")
_HEAD = 16384  # characters in which a title is looked for


@dataclass(slots=True)
class About:
    """``body`` is the text after the front matter, whose ``pairs`` are flat; ``skipped`` its length in bytes."""

    body: str
    skipped: int = 0
    title: str | None = None
    language: str | None = None
    licence: str | None = None
    pairs: dict[str, str] = field(default_factory=dict)


def describe(name: str, text: str) -> About:
    """What a file says of itself; ``name`` tells its kind, and its language where it is ``NAME.de.md``."""
    about = About(text)
    if front := _FRONT.match(text):
        about.body = text[front.end() :]
        about.skipped = len(text[: front.end()].encode())
        about.pairs = {pair[1].lower(): pair[2] or pair[3] or pair[4] for pair in _PAIR.finditer(front[2])}
    head = about.body[:_HEAD]
    if PurePosixPath(name).suffix.lower() in RST:
        first = head.lstrip().partition("\n\n")[0]
        if all(_HEADER.match(line) or line[:1].isspace() for line in first.splitlines()):
            about.pairs |= {pair[1].strip(":").lower(): pair[2] for pair in _HEADER.finditer(first)}
        heading = _UNDERLINED.search(head)
    else:
        plain = _FENCE.sub("", head)
        heading = min(filter(None, (_ATX.search(plain), _SETEXT.search(plain))), key=re.Match.start, default=None)
    about.title = about.pairs.get("title") or (heading[1] if heading else None) or None
    language = about.pairs.get("lang") or about.pairs.get("language") or ""
    middle = PurePosixPath(PurePosixPath(name).stem).suffix[1:]
    about.language = language if _TAG.match(language) else middle if _NAMED.fullmatch(middle) else None
    about.licence = spdx.canonical(about.pairs.get("license") or about.pairs.get("licence"))
    return about
