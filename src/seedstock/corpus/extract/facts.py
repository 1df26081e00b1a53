"""What a page says of itself in its head: title, author, date, language and address.

Facts are what the page claims, not what is true of it. What it says of rights is read by ``rights.marks``.
"""

from __future__ import annotations

import html
import json
import re
from typing import Any
from urllib.parse import urljoin

from seedstock.corpus.extract.compiled import places

FRONT = 1 << 17  # characters in which a head is looked for where none is marked
TAGS = re.compile(r"<(meta|link|html)\s((?:[^>=]++|=\s*+(?:\"[^\"]*+\"|'[^']*+')?+)*+)>", re.I)
PAIRS = re.compile(r"([a-zA-Z:_-]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+))")
TITLE = re.compile(r"<title[^>]*>([^<]{1,2000})", re.I)
HEADING = re.compile(r"<h1[\s>](?:(?!</h1).){0,2000}", re.I | re.S)
DAY = re.compile(r"\b((?:19|20)\d\d)[-/.]?(0[1-9]|1[0-2])[-/.]?(0[1-9]|[12]\d|3[01])")
TIME = re.compile(r"<time[^>]{0,300}?datetime\s*=\s*[\"']?([^\"'>]{8,40})", re.I)
TITLES = ("og:title", "twitter:title", "dc.title", "dcterms.title", "headline")
AUTHORS = ("author", "article:author", "dc.creator", "dcterms.creator", "byl", "sailthru.author", "parsely-author")
DATES = (
    *("article:published_time", "datepublished", "og:published_time", "date", "dc.date", "dcterms.created", "pubdate"),
    *("dc.date.issued", "publish-date", "sailthru.date", "parsely-pub-date", "citation_publication_date"),
)
TELLING = ("title", "headline", "author", "creat", "byl", "date", "publi", "og:url", "language", "locale")
"""One of these is in the name of every meta element above."""
SPEAKS = ("license", "licence", "rights", "bot", "tdm", "creativecommons", "copyright")
WORDS = tuple(word.encode() for word in ("icense", "icence", "creativecommons", 'robots"', 'bot"'))
LONGEST = 500  # characters of a fact
LARGEST = 200_000  # characters of a block of JSON-LD


def tags(source: str, head: tuple[int, int]) -> list[re.Match[str]]:
    """The meta, link and html elements of a page's head, whose place is ``head`` (0, 0 where none is marked)."""
    end = head[1] or FRONT
    if head[1]:  # a script in it may have spoken of its end
        end = max(end, source.find("<body", end, end + FRONT))
    return list(TAGS.finditer(source, 0, min(end, head[0] + (1 << 20))))


def facts(
    source: str, listed: list[re.Match[str]], url: str | None = None, blocks: list[str] | None = None
) -> dict[str, Any]:
    """What is found of title, author, date (YYYY-MM-DD), language, canonical address; ``listed`` are its ``tags``,
    ``blocks`` its ``scripts``."""
    metas: dict[str, list[str]] = {}
    links: dict[str, list[str]] = {}
    language = None
    for match in listed:
        kind, attributes = match[1].lower(), match[2]
        if kind != "html" and not _tells(attributes.lower(), kind):
            continue
        pairs = _pairs(attributes)
        if kind == "html":
            language = language or pairs.get("lang") or pairs.get("xml:lang")
        elif kind == "meta":
            name = pairs.get("property") or pairs.get("name") or pairs.get("itemprop") or pairs.get("http-equiv")
            if name and pairs.get("content"):
                metas.setdefault(name.lower(), []).append(pairs["content"])
        elif pairs.get("rel") and pairs.get("href"):
            for relation in pairs["rel"].lower().split():
                links.setdefault(relation, []).append(pairs["href"])
    linked = _linked_data(scripts(source) if blocks is None else blocks)
    title = _first(metas, TITLES) or linked.get("title") or _heading(source) or _tidy(_found(TITLE, source))
    address = next(iter(links.get("canonical", [])), None) or _first(metas, ("og:url",))
    author = _first(metas, AUTHORS)
    if not author or author.startswith("http"):
        author = linked.get("author") or None
    date = _day(_first(metas, DATES) or "") or _day(linked.get("date") or "") or _day(_found(TIME, source) or "")
    result = {
        "title": title,
        "author": author,
        "date": date,
        "language": language or _first(metas, ("content-language", "og:locale")),
        "canonical": _joined(url, address) if address else None,
    }
    return {name: value[:LONGEST] if isinstance(value, str) else value for name, value in result.items() if value}


def _tells(attributes: str, kind: str) -> bool:
    """Whether a meta or link element can hold a fact; a page has fifty of them, and a handful do."""
    if "&" in attributes:  # a name may be written in references
        return True
    if kind == "link":
        return "canonical" in attributes
    for word in TELLING:  # noqa: SIM110 - half the time of any()
        if word in attributes:
            return True
    return False


def _pairs(attributes: str) -> dict[str, str]:
    return {
        key.lower(): html.unescape(one or two or three).strip() for key, one, two, three in PAIRS.findall(attributes)
    }


def _first(metas: dict[str, list[str]], names: tuple[str, ...]) -> str | None:
    return next((_tidy(metas[name][0]) for name in names if name in metas), None)


def _tidy(text: str | None) -> str:
    return " ".join(html.unescape(text or "").split())


def _found(pattern: re.Pattern[str], source: str) -> str | None:
    match = pattern.search(source)
    return match[1] if match else None


def _heading(source: str) -> str | None:
    match = HEADING.search(source)
    return _tidy(re.sub(r"<[^>]*>|^<h1[^>]*>?", " ", match[0])) or None if match else None


def _day(text: str) -> str | None:
    match = DAY.search(text)
    return "-".join(match.groups()) if match else None


def _joined(url: str | None, address: str) -> str | None:
    try:
        found = urljoin(url or "", address)
    except ValueError:
        return None
    return found if found.startswith(("http://", "https://")) else None


def _linked_data(blocks: list[str]) -> dict[str, Any]:
    """Title, author and date of schema.org's JSON-LD, as far as it parses."""
    found: dict[str, Any] = {}
    for block in blocks:
        try:
            data = json.loads(block, strict=False)
        except (ValueError, RecursionError):
            continue
        graph = data.get("@graph", data) if isinstance(data, dict) else data
        for node in graph[:50] if isinstance(graph, list) else [graph]:
            if not isinstance(node, dict):
                continue
            if "headline" not in node and "datePublished" not in node:
                continue
            for key, value in (("title", node.get("headline")), ("date", node.get("datePublished"))):
                if isinstance(value, str):
                    found.setdefault(key, _tidy(value))
            if name := _names(node.get("author")):
                found.setdefault("author", name)
    return found


def scripts(source: str) -> list[str]:
    """The contents of the first five blocks of JSON-LD of a page; without those that are too long."""
    at, found = 0, list[str]()
    for _ in range(5):
        named = source.find("application/ld+json", at)
        begin = source.find(">", named, named + 400) + 1 if named >= 0 else 0
        at = source.find("</script", begin) if begin else -1
        if at < 0:
            break
        if at - begin <= LARGEST:
            found.append(source[begin:at])
    return found


def _names(author: Any) -> str:
    listed = author if isinstance(author, list) else [author]
    names = [one.get("name") if isinstance(one, dict) else one for one in listed[:20]]
    return ", ".join(_tidy(name) for name in names if isinstance(name, str) and not name.startswith("http"))


def licensing(
    source: str, listed: list[re.Match[str]], data: bytes | None = None, blocks: list[str] | None = None
) -> str:
    """The parts of a page that can speak of rights, to ``rights.marks``: those of its ``tags`` that do, links that name
    a licence, and JSON-LD that does. ``data`` is the page in UTF-8, ``blocks`` its ``scripts``, where they are at hand.

    A page's links are a hundred times as many as those to licences, and need not all be looked at.
    """
    parts = [match[0] for match in listed if _speaks(match[0].lower())]
    data = source.encode("utf-8", "surrogatepass") if data is None else data
    end = listed[-1].end() if listed else 0
    if len(data) != len(source):
        end = len(source[:end].encode("utf-8", "surrogatepass"))
    for word in WORDS:
        for at in places(data, word, end, 100):
            low, high = data.rfind(b"<", max(end, at - 2000), at), data.find(b">", at, at + 2000)
            if 0 <= low < high:
                parts.append(data[low : high + 1].decode("utf-8", "surrogatepass"))
    speaking = [block for block in (scripts(source) if blocks is None else blocks) if "icense" in block]
    parts += [f'<script type="application/ld+json">{block}</script>' for block in speaking]
    return "\n".join(parts)


def _speaks(tag: str) -> bool:
    for word in SPEAKS:  # noqa: SIM110 - half the time of any()
        if word in tag:
            return True
    return False
