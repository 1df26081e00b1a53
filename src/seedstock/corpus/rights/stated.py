"""The licence that a book, a file or a licence file states: by tags, a licence's own text, words, or an address."""

from __future__ import annotations

import re

from seedstock.corpus.rights import marks
from seedstock.corpus.signals import spdx

LICENCE_FILE = re.compile(r"(^|/)(un)?(licen[cs]e|copying)([._-][^/]*)?$", re.IGNORECASE)
LONGEST = 200_000  # bytes of a licence file
PUBLIC_DOMAIN = "LicenseRef-Public-Domain"
# In a header the tag stands at the start of a line, after what opens a comment; in prose and code it may be a mention.
_TAG = re.compile(
    r"(?m)^[ \t]*(?:[#;%*\"'-]+|//+|/\*+|<!--|\.\.|dnl|REM)?[ \t]*SPDX-License-Identifier:[ \t]*([^\n]{1,200})"
)
_COMMENT_END = re.compile(r"\s*(\*/|-->|\*\)|\"\"\"|'''|[\"'])?\s*$")
_CC = re.compile(r"creativecommons\.org/[\w./-]{1,80}", re.IGNORECASE)
_PUBLIC = re.compile(r"\bpublic domain\b", re.IGNORECASE)
_NOT_PUBLIC = re.compile(r"\b(not|non|never|isn't)\b[^.]{0,40}public domain|\bcopyrighted?\b", re.IGNORECASE)
_RESERVED = re.compile(r"\ball rights (are )?reserved\b", re.IGNORECASE)


def tagged(head: str) -> str | None:
    """The SPDX expression of a text's own ``SPDX-License-Identifier`` tags, which all bind; None where it has none."""
    found = (spdx.canonical(_COMMENT_END.sub("", match[1]).strip()) for match in _TAG.finditer(head))
    return together(list(dict.fromkeys(name for name in found if name))) or None


def together(expressions: list[str]) -> str:
    """Expressions that all bind, as one; empty where there are none."""
    if len(expressions) < 2:
        return "".join(expressions)
    return " AND ".join(f"({one})" if " OR " in one else one for one in expressions)


def of_file(text: str) -> str | None:
    """The SPDX expression of a licence file: of all the licences that it holds; None where none is known here.

    A GNU licence's text does not say whether later versions are allowed: it is taken for the named version only.
    """
    from seedstock.corpus.rights.licence_text import identify, notices

    if tag := tagged(text[:4000]):
        return tag
    # The GNU licences' texts say how others should name them; that is no notice of their own.
    named = [one.name for one in notices(text) if "GPL" not in one.name]
    found = dict.fromkeys([*(one.name for one in identify(text)), *named])
    return together(list(found)) or _linked(text[:4000])


def stated(text: str, where: str) -> tuple[str | None, str | None]:
    """(licence, evidence) by a statement of rights that stands in ``where``.

    The licence is an SPDX expression, or "" where all rights are reserved; (None, None) where it says neither.
    """
    words = " ".join(text.split())
    evidence = f"{where}: {words[:200]}"
    if linked := _linked(words):
        return linked, evidence
    found = _CC.search(words)
    if _RESERVED.search(words) and not found:
        return "", evidence
    if _PUBLIC.search(words) and not _NOT_PUBLIC.search(words) and not found:
        return PUBLIC_DOMAIN, evidence
    if len(words) < 60 and (name := spdx.canonical(words)):
        return name, evidence
    return None, None


def _linked(text: str) -> str | None:
    """The one Creative Commons licence that a text has the address of."""
    found = {name for match in _CC.finditer(text) if (name := marks.of_url(f"//{match[0]}"))}
    return found.pop() if len(found) == 1 else None
