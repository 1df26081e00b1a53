"""The licence that a licence file holds, told by sentences that no other licence has."""

from __future__ import annotations

import re

from seedstock.corpus.signals import spdx
from seedstock.corpus.sources.licences import _resolve

LICENCE_FILE = re.compile(r"(^|/)(un)?(licen[cs]e|copying)([._-][^/]*)?$", re.IGNORECASE)
LONGEST = 200_000  # characters of a licence file
# In order: a text that quotes another one stands before it.
_SENTENCES = (
    ("AGPL-3.0-only", "GNU AFFERO GENERAL PUBLIC LICENSE Version 3"),
    ("LGPL-3.0-only", "GNU LESSER GENERAL PUBLIC LICENSE Version 3"),
    ("LGPL-2.1-only", "GNU LESSER GENERAL PUBLIC LICENSE Version 2.1"),
    ("LGPL-2.0-only", "GNU LIBRARY GENERAL PUBLIC LICENSE Version 2"),
    ("GPL-3.0-only", "GNU GENERAL PUBLIC LICENSE Version 3"),
    ("GPL-2.0-only", "GNU GENERAL PUBLIC LICENSE Version 2"),
    ("Apache-2.0", "Apache License Version 2.0, January 2004"),
    ("MPL-2.0", "Mozilla Public License Version 2.0"),
    ("EPL-2.0", "Eclipse Public License - v 2.0"),
    ("CC0-1.0", "CC0 1.0 Universal"),
    ("CC-BY-SA-4.0", "Attribution-ShareAlike 4.0 International"),
    ("CC-BY-NC-4.0", "Attribution-NonCommercial 4.0 International"),
    ("CC-BY-4.0", "Attribution 4.0 International"),
    ("BSL-1.0", "Boost Software License - Version 1.0"),
    ("PSF-2.0", "PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2"),
    ("Unlicense", "This is free and unencumbered software released into the public domain"),
    ("Zlib", "This software is provided 'as-is', without any express or implied warranty. In no event"),
    ("ISC", "Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is "
     "hereby granted, provided that the above copyright notice"),
    ("0BSD", "Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is "
     "hereby granted. THE SOFTWARE"),
    ("MIT-0", "the Software without restriction, including without limitation the rights to use, copy, modify, merge, "
     "publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software "
     "is furnished to do so. THE SOFTWARE"),
    ("MIT", "Permission is hereby granted, free of charge, to any person obtaining a copy of this software and "
     "associated documentation files"),
    ("WTFPL", "DO WHAT THE FUCK YOU WANT TO PUBLIC LICENSE"),
)  # fmt: skip
_TAG = re.compile(r"(?m)^.{0,8}SPDX-License-Identifier:[ \t]*([A-Za-z0-9.+() -]{2,100}?)[ \t]*(?:\*/|-->|\*\)|$)")


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", " ", text.lower()).strip()


_PLAIN = tuple((name, _plain(sentence)) for name, sentence in _SENTENCES)


def of_text(text: str) -> str | None:
    """The SPDX expression of a licence file's text, or None where it is none that is known here, or several.

    A GNU licence's text does not say whether later versions are allowed: it is taken for the named version only.
    """
    if tag := tagged(text):
        return tag
    plain = _plain(text[:LONGEST])
    found = [name for name, sentence in _PLAIN if sentence in plain]
    if not found:
        clauses, _ = _resolve("BSD", None, lambda: text[:LONGEST])
        return clauses
    # Which one stands first is the file's own; what follows is quoted by it, or another component's.
    first = min(found, key=lambda name: plain.index(dict(_PLAIN)[name]))
    gnu = {name for name in found if "GPL" in name}
    return first if len(found) == 1 or set(found) == gnu | {first} else None


def tagged(text: str) -> str | None:
    """The SPDX expression of a file's own tags, in its first 4000 characters; several tags all bind."""
    found = dict.fromkeys(name for tag in _TAG.findall(text[:4000]) if (name := spdx.canonical(tag)))
    return " AND ".join(f"({name})" if len(found) > 1 and " OR " in name else name for name in found) or None
