"""The licence that an installed distribution declares, as an SPDX expression, with the evidence in words.

The order is that of exactness: ``License-Expression`` (PEP 639), classifiers, the free ``License`` field. A name that
stands for several licences ("BSD License") is resolved by the distribution's own licence file, or else left open.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from email.message import Message

CLASSIFIERS = {
    "Academic Free License (AFL)": "AFL-3.0",
    "Apache Software License": "Apache",
    "BSD License": "BSD",
    "Boost Software License 1.0 (BSL-1.0)": "BSL-1.0",
    "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication": "CC0-1.0",
    "Eclipse Public License 2.0 (EPL-2.0)": "EPL-2.0",
    "European Union Public Licence 1.2 (EUPL 1.2)": "EUPL-1.2",
    "GNU Affero General Public License v3": "AGPL-3.0-only",
    "GNU Affero General Public License v3 or later (AGPLv3+)": "AGPL-3.0-or-later",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Lesser General Public License v2 (LGPLv2)": "LGPL-2.0-only",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.0-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "Historical Permission Notice and Disclaimer (HPND)": "HPND",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 1.1 (MPL 1.1)": "MPL-1.1",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "Universal Permissive License (UPL)": "UPL-1.0",
    "Zope Public License": "ZPL-2.1",
    "zlib/libpng License": "Zlib",
}
# Spellings of the free field, after lower case and with everything but letters, digits, dots and plus taken out.
SPELLINGS = {
    "apache": "Apache",
    "apache2": "Apache-2.0",
    "apache2.0": "Apache-2.0",
    "apacheversion2.0": "Apache-2.0",
    "apachesoftware": "Apache",
    "apachesoftware2.0": "Apache-2.0",
    "bsd": "BSD",
    "2clausebsd": "BSD-2-Clause",
    "3clausebsd": "BSD-3-Clause",
    "bsd2clause": "BSD-2-Clause",
    "bsd3clause": "BSD-3-Clause",
    "newbsd": "BSD-3-Clause",
    "modifiedbsd": "BSD-3-Clause",
    "simplifiedbsd": "BSD-2-Clause",
    "expat": "MIT",
    "isc": "ISC",
    "mit": "MIT",
    "mpl2.0": "MPL-2.0",
    "mozillapublic2.0": "MPL-2.0",
    "psf": "PSF-2.0",
    "psf2.0": "PSF-2.0",
    "publicdomain": "LicenseRef-Public-Domain",
    "pythonsoftwarefoundation": "PSF-2.0",
    "unlicense": "Unlicense",
    "zlib": "Zlib",
}
_IDENTIFIER = re.compile(
    r"(0BSD|AFL|AGPL|Apache|Artistic|BSD|BSL|CC0|CC-BY|CECILL|CNRI|EPL|EUPL|GPL|HPND|ISC|LGPL|MIT|MPL|MS|NCSA|OFL|PSF"
    r"|PostgreSQL|Python|Unicode|UPL|Unlicense|WTFPL|ZPL|Zlib)(-[A-Za-z0-9.]+)*\+?$"
)
_OPEN = {"BSD", "Apache"}  # names of more than one licence


def declared(metadata: Message, licence_text: Callable[[], str]) -> tuple[str | None, str]:
    """(SPDX expression or None, evidence) of a distribution's core metadata; ``licence_text`` reads its licence files.

    Source: the core metadata specifications, version 2.4 (PEP 639) and before.
    """
    files = metadata.get_all("License-File") or []
    more = f" and {len(files) - 3} more" if len(files) > 3 else ""
    noted = f"; licence files: {', '.join(files[:3])}{more}" if files else ""
    if expression := (metadata.get("License-Expression") or "").strip():
        return expression, f"License-Expression: {expression}{noted}"
    free = " ".join((metadata.get("License") or "").split())
    classifiers = [
        text.split(" :: ")[-1] for text in metadata.get_all("Classifier") or [] if text.startswith("License :: ")
    ]
    named = list(dict.fromkeys(CLASSIFIERS[name] for name in classifiers if name in CLASSIFIERS))
    written = _written(free)
    if len(named) > 1 and written and written not in _OPEN:
        named = []  # the field joins them exactly (AND, OR), the classifiers cannot
    if named:
        found = [_resolve(name, written, licence_text) for name in named]
        evidence = " and ".join(f"classifier {name!r}" for name in classifiers if name in CLASSIFIERS)
        how = "".join(f"; {detail}" for _, detail in found if detail)
        if all(name for name, _ in found):
            return " AND ".join(str(name) for name, _ in found), f"{evidence}{how}{noted}"
        return None, f"{evidence}, which names several licences{noted}"
    if written:
        name, detail = _resolve(written, None, licence_text)
        shown = f"License: {free[:80]}" + (f"; {detail}" if detail else "")
        return name, f"{shown}{noted}" if name else f"{shown}, which names several licences{noted}"
    if free:
        return None, f"License: {free[:80]}, which is not understood{noted}"
    return None, f"the metadata declares no licence{noted}"


def _written(free: str) -> str | None:
    """The SPDX expression of a free ``License`` field, or an open name, or None."""
    words = re.split(r"\s+(AND|OR|WITH)\s+", free.strip("() "))
    if words and all(_IDENTIFIER.match(word) for word in words[::2]) and free not in _OPEN:
        return free
    plain = re.sub(r"\b(the|licence|license|version|v)\b", "", free.lower())
    return SPELLINGS.get(re.sub(r"[^a-z0-9.+]", "", re.sub(r"\bv(?=\d)", "", plain)))


def _resolve(name: str, written: str | None, licence_text: Callable[[], str]) -> tuple[str | None, str]:
    """Turns an open name into one licence, by the free field or the licence file; (None, "") where neither tells."""
    if name not in _OPEN:
        return name, ""
    if written and written not in _OPEN and written.startswith(name):
        return written, f"License: {written}"
    text = " ".join(licence_text().split())
    if name == "Apache":
        if "Version 1.1" in text and "Version 2.0" not in text:
            return "Apache-1.1", "version 1.1 by its licence file"
        found = "by its licence file" if "Version 2.0, January 2004" in text else "assumed, the version since 2004"
        return "Apache-2.0", f"version 2.0 {found}"
    if "Redistribution and use in source and binary forms" not in text:
        return None, ""
    third = re.search(r"(Neither the name|may not be used to endorse|names? of .{0,80} may not be used)", text)
    if "advertising materials mentioning features" in text:
        return "BSD-4-Clause", "4 clauses in its licence file"
    return ("BSD-3-Clause", "3 clauses in its licence file") if third else ("BSD-2-Clause", "2 in its licence file")
