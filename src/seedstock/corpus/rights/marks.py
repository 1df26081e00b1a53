"""What the markup of a page says of rights: licences (links, metadata, JSON-LD) and opt-outs (meta elements).

``of_page`` gives what belongs under ``rights`` in the meta of a document that was a page; the signals ``licence`` and
``optout`` read it there. Nothing is parsed but tags and JSON-LD blocks, in linear time.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from typing import Any

LONGEST = 4_000_000  # characters of a page that are looked at
_TAG = re.compile(r"<(a|link|meta)\b((?:[^<>\"']|\"[^\"]{0,4000}\"|'[^']{0,4000}'){0,400})>", re.I)
_ATTRIBUTE = re.compile(r"([a-zA-Z][\w:.-]{0,60})\s*=\s*(?:\"([^\"]{0,4000})\"|'([^']{0,4000})'|([^\s\"'>]{1,4000}))")
_LD = re.compile(r"<script\b[^<>]{0,400}application/ld\+json[^<>]{0,400}>", re.I)
_LD_END = re.compile(r"</script", re.I)
_QUICK = re.compile(r"(?i)creativecommons|licen[sc]e|dc\.rights|dcterms|robots|tdm-|ld\+json|noai|copyright")
_CC = re.compile(
    r"(?i)(?:https?:)?//(?:www\.)?creativecommons\.org/(?:(licen[sc]es)/([a-z-]{2,20})/(\d\.\d)(?:/([a-z]{2,5}))?"
    r"|publicdomain/(zero|mark)/(1\.0))"
)
_OTHER: dict[str, str | None] = {
    "opensource.org/licenses/": None,
    "www.apache.org/licenses/license-2.0": "Apache-2.0",
    "www.gnu.org/licenses/gpl-3.0": "GPL-3.0-only",
    "www.gnu.org/licenses/fdl-1.3": "GFDL-1.3-only",
    "www.gnu.org/copyleft/fdl": "GFDL-1.3-only",
    "opendatacommons.org/licenses/by/": "ODC-By-1.0",
    "opendatacommons.org/licenses/odbl/": "ODbL-1.0",
    "opendatacommons.org/licenses/pddl/": "PDDL-1.0",
    "www.nationalarchives.gov.uk/doc/open-government-licence/version/3": "OGL-UK-3.0",
    "spdx.org/licenses/": None,
}
_META = {"dc.rights", "dcterms.rights", "dc.rights.license", "dcterms.license", "dc.license", "license", "licence"}
_META |= {"rights", "dc.rights.uri", "citation_license", "og:license", "cc:license"}


def of_url(url: str) -> str | None:
    """The SPDX name of the licence that a URL leads to, or None."""
    from seedstock.corpus.signals.spdx import canonical

    if match := _CC.search(url):
        if match[5]:
            return "CC0-1.0" if match[5].lower() == "zero" else "LicenseRef-Public-Domain"
        kind, version, place = match[2].lower(), match[3], (match[4] or "").upper()
        parts = [part for part in ("by", "nc", "nd", "sa") if part in kind.split("-")]
        name = f"CC-{'-'.join(parts).upper()}-{version}" if parts else ""
        return canonical(f"{name}-{place}") or canonical(name) if name else None
    plain = re.sub(r"^(?:https?:)?//", "", url.strip().lower())
    for start, fixed in _OTHER.items():
        if plain.startswith(start):
            return fixed or canonical(re.sub(r"\.(html?|txt|json|php)$", "", plain[len(start) :].strip("/")))
    return None


def of_page(source: str) -> dict[str, Any]:
    """What a page's markup says of rights; empty where it says nothing.

    licences         list of [SPDX expression, evidence], each once: ``rel=license`` links, metadata, JSON-LD
    mentions         SPDX names of Creative Commons links that do not say they license the page
    robots           directives of ``<meta name=robots>`` and of robots that are named
    tdm_reservation, tdm_policy    of TDMRep's meta elements
    """
    source = source[:LONGEST]
    if not _QUICK.search(source):
        return {}
    licences: dict[str, str] = {}
    mentions: dict[str, None] = {}
    found: dict[str, Any] = {}
    robots: list[str] = []
    for match in _TAG.finditer(source):
        said = _attributes(match[2])
        if match[1].lower() == "meta":
            name, content = (said.get("name") or said.get("property") or "").lower(), said.get("content", "")
            if name in _META and (licence := of_url(content) or _named(content)):
                licences.setdefault(licence, f"<meta name={name}>")
            elif name == "robots" or name.endswith("bot"):
                robots.append(content if name == "robots" else f"{name}: {content}")
            elif name in ("tdm-reservation", "tdm-policy"):
                found[name.replace("-", "_")] = content[:2000]
        elif licence := of_url(said.get("href", "")):
            if "license" in said.get("rel", "").lower().split():
                licences.setdefault(licence, f"<{match[1].lower()} rel=license>")
            elif said.get("itemprop", "").lower() == "license":
                licences.setdefault(licence, "itemprop=license")
            else:
                mentions[licence] = None
    for licence in _linked(source):
        licences.setdefault(licence, "schema.org license")
    found["licences"] = [[name, evidence] for name, evidence in licences.items()]
    found["mentions"] = [name for name in mentions if name not in licences]
    found["robots"] = [" ".join(text.split())[:500] for text in robots[:20]]
    return {name: value for name, value in found.items() if value}


def _attributes(text: str) -> dict[str, str]:
    return {
        match[1].lower(): html.unescape(match[2] or match[3] or match[4] or "") for match in _ATTRIBUTE.finditer(text)
    }


def _named(content: str) -> str | None:
    """The licence that a metadata field names in words: an SPDX expression, or a URL within them."""
    from seedstock.corpus.signals.spdx import canonical

    return of_url(content) if "//" in content else canonical(content.strip()[:100])


def _linked(source: str) -> Iterator[str]:
    """Licences of schema.org objects: of the page's work, and not of the pictures in it."""
    at = 0
    while (opened := _LD.search(source, at)) and (closed := _LD_END.search(source, opened.end())):
        at = closed.end()
        try:
            data = json.loads(source[opened.end() : closed.start()])
        except (ValueError, RecursionError):
            continue
        heap = [data]
        for _ in range(10_000):  # objects of a block that are looked at
            if not heap:
                break
            one = heap.pop()
            if isinstance(one, list):
                heap.extend(reversed(one))
            elif isinstance(one, dict):
                heap += [one["@graph"]] if "@graph" in one else []
                kind = str(one.get("@type", ""))
                if "ImageObject" in kind or "VideoObject" in kind:
                    continue
                given = one.get("license")
                for value in given if isinstance(given, list) else [given]:
                    if isinstance(value, dict):
                        value = value.get("@id") or value.get("url")
                    if isinstance(value, str) and (licence := of_url(value) or _named(value)):
                        yield licence
