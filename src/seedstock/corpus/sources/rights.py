"""The licence that a book, a page or a file states in words or by a Creative Commons address."""

from __future__ import annotations

import re

from seedstock.corpus.signals import spdx

_CC = re.compile(
    r"creativecommons\.org/(?:licenses/(by(?:-nc)?(?:-nd|-sa)?)/(\d\.\d)(?:/([a-z]{2,3})\b(?![a-z]))?|publicdomain/(zero|mark)/1\.0)",
    re.IGNORECASE,
)
_PUBLIC = re.compile(r"\bpublic domain\b", re.IGNORECASE)
_NOT_PUBLIC = re.compile(r"\b(not|non|never|isn't)\b[^.]{0,40}public domain|\bcopyrighted?\b", re.IGNORECASE)
_RESERVED = re.compile(r"\ball rights (are )?reserved\b", re.IGNORECASE)
PUBLIC_DOMAIN = "LicenseRef-Public-Domain"


def stated(text: str, where: str) -> tuple[str | None, str | None]:
    """(licence, evidence) by a statement of rights that stands in ``where``.

    The licence is an SPDX expression, or "" where all rights are reserved; (None, None) where it says neither.
    """
    words = " ".join(text.split())
    evidence = f"{where}: {words[:200]}"
    found = {_name(match) for match in _CC.finditer(words)}
    if len(found) == 1:
        return spdx.canonical(found.pop()), evidence
    if _RESERVED.search(words) and not found:
        return "", evidence
    if _PUBLIC.search(words) and not _NOT_PUBLIC.search(words) and not found:
        return PUBLIC_DOMAIN, evidence
    if len(words) < 60 and (name := spdx.canonical(words)):
        return name, evidence
    return None, None


def _name(match: re.Match[str]) -> str:
    if match[4]:
        return "CC0-1.0" if match[4].lower() == "zero" else PUBLIC_DOMAIN
    return f"CC-{match[1].upper()}-{match[2]}" + (f"-{match[3].upper()}" if match[3] else "")
