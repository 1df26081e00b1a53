"""Whether those who published a document ask that no model be trained on it, by each protocol for saying so."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import model_validator

from seedstock.corpus.rights.lists import HOSTS, recorded
from seedstock.corpus.signals.base import Signal

if TYPE_CHECKING:
    import pyarrow as pa

    from seedstock.corpus.rights.robots import Host

# Robots that fetch for training, by the names that their operators publish.
AGENTS = (
    "GPTBot", "ClaudeBot", "anthropic-ai", "Google-Extended", "CCBot", "Applebot-Extended", "Bytespider", "Amazonbot",
    "meta-externalagent", "FacebookBot", "cohere-ai", "cohere-training-data-crawler", "AI2Bot", "Diffbot", "Omgilibot",
    "Omgili", "Timpibot", "ImagesiftBot", "PanguBot", "img2dataset", "Webzio-Extended",
)  # fmt: skip
DIRECTIVES = ("noai", "noml", "noimageai")
TEXT = ("noai", "noml")
_MECHANISMS = ("robots", "content_usage", "tdmrep", "x_robots_tag", "meta_robots", "ai_txt")


class OptOut(Signal):
    """What each protocol says: true where it asks that the document not be used, false where it was heard and does not,
    null where nothing is on record.

    robots         robots.txt: one of ``agents`` may not fetch the URL (RFC 9309)
    content_usage  ``Content-Usage`` header or robots.txt line with one of ``usages`` set to n (IETF AIPREF, drafts)
    tdmrep         ``tdm-reservation: 1`` by header, meta element or tdmrep.json (W3C TDMRep)
    x_robots_tag   ``noai``, ``noml`` (``noimageai`` for documents with media) in the header
    meta_robots    the same in ``<meta name=robots>``
    ai_txt         ai.txt disallows the URL to everybody
    any            one of them is true
    evidence       what was said, each as ``mechanism: words``

    Headers, the page's own marks, and what a crawl's own robots.txt says of the page are read from the document's meta
    (``headers``, ``rights``, ``host``). ``hosts`` names further files with the robots.txt of hosts: JSON lines or the
    robots.txt records of WARC files; ``sha256`` is filled in.
    """

    version: ClassVar[int] = 2
    columns: ClassVar[dict[str, str]] = {**dict.fromkeys(_MECHANISMS, "bool"), "any": "bool", "evidence": "strings"}
    kind: Literal["optout"] = "optout"
    agents: tuple[str, ...] = AGENTS
    usages: tuple[str, ...] = ("train-ai", "train-genai", "ai", "foundation-model-production", "bots", "all")
    directives: tuple[str, ...] = DIRECTIVES
    hosts: tuple[str, ...] = ()
    sha256: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _digest(cls, values: Any) -> Any:
        return recorded(values, "hosts", HOSTS, "signal 'optout'")

    def compute(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Asks every protocol about each document of a batch."""
        names = batch.schema.names
        urls = batch.column("url").to_pylist() if "url" in names else [None] * len(batch)
        media = batch.column("media_type").to_pylist() if "media_type" in names else [None] * len(batch)
        hosts = _hosts(self.hosts, self.sha256)
        rows = [
            self._one(url, json.loads(meta or "{}"), hosts, bool(kind) and not str(kind).startswith("text/"))
            for url, meta, kind in zip(urls, batch.column("meta").to_pylist(), media, strict=True)
        ]
        columns = {name: [answers.get(name) for answers, _ in rows] for name in _MECHANISMS}
        asked = [True if True in answers.values() else False if answers else None for answers, _ in rows]
        return self.batch(**columns, any=asked, evidence=[evidence for _, evidence in rows])

    def _one(
        self, url: str | None, meta: dict[str, Any], hosts: dict[str, Host], media: bool
    ) -> tuple[dict[str, bool], list[str]]:
        headers, marks = _table(meta.get("headers")), _table(meta.get("rights"))
        host = hosts.get(urlsplit(url).netloc.lower()) if url and hosts and _splits(url) else None
        answers: dict[str, bool] = {}
        evidence: list[str] = []

        def heard(name: str, refuses: bool, words: str) -> None:
            answers[name] = answers.get(name, False) or refuses
            if refuses:
                evidence.append(f"{name}: {words[:200]}")

        if host and host.robots is not None:
            agent = host.refuses(url or "", self.agents)
            heard("robots", agent is not None, f"{agent} may not fetch it")
        if host and host.ai is not None:
            heard("ai_txt", host.refuses(url or "", ("*",), "ai") is not None, "disallowed to everybody")
        crawled = meta["host"] if isinstance(meta.get("host"), dict) else {}  # as rights.heard has it
        if isinstance(robots := crawled.get("robots"), dict):
            refused, named = robots.get("refused") or [], robots.get("named") or []
            told = [agent for agent in self.agents if (agent.lower() if agent.lower() in named else "*") in refused]
            heard("robots", bool(told), f"{next(iter(told), '')} may not fetch it")
        if isinstance(crawled.get("ai"), bool):
            heard("ai_txt", crawled["ai"], "disallowed to everybody")
        usage = crawled["usage"] if isinstance(crawled.get("usage"), dict) else {}
        own = next((usage[name] for agent in (*self.agents, "*") if (name := agent.lower()) in usage), None)
        said = [headers.get("content-usage"), host.usage(url or "", self.agents) if host else None, own]
        for value in said:
            if value:
                refused = [name for name in self.usages if _usage(value, name) is False]
                heard("content_usage", bool(refused), value)
        if host and (reserved := host.reservation(url or "")) is not None:
            heard("tdmrep", reserved, "tdmrep.json reserves it")
        if isinstance(crawled.get("tdmrep"), bool):
            heard("tdmrep", crawled["tdmrep"], "tdmrep.json reserves it")
        for value, where in ((headers.get("tdm-reservation"), "header"), (marks.get("tdm_reservation"), "meta")):
            if value is not None:
                heard("tdmrep", str(value).strip() == "1", f"{where}: {value}")
        wanted = {name.lower() for name in self.directives} - (set() if media else {"noimageai"})
        if tag := headers.get("x-robots-tag"):
            heard("x_robots_tag", bool(_directives(tag, self.agents) & wanted), tag)
        if robots := marks.get("robots"):
            words = ", ".join(map(str, robots)) if isinstance(robots, list) else str(robots)
            heard("meta_robots", bool(_directives(words, self.agents) & wanted), words)
        return answers, evidence


@cache
def _hosts(paths: tuple[str, ...], sha256: str | None) -> dict[str, Host]:
    from seedstock.corpus.rights.robots import read

    return read(paths, "signal 'optout'")


def _splits(url: str) -> bool:
    try:
        return bool(urlsplit(url).netloc)
    except ValueError:
        return False


def _table(value: Any) -> dict[str, Any]:
    """Headers as a mapping of small names; several of one name are joined, as RFC 9110 (5.3) says."""
    pairs = value.items() if isinstance(value, dict) else value if isinstance(value, list) else ()
    found: dict[str, Any] = {}
    for pair in pairs:
        if isinstance(pair, list | tuple) and len(pair) == 2:
            name = str(pair[0]).lower()
            found[name] = f"{found[name]}, {pair[1]}" if name in found else pair[1]
    return found


def _usage(value: str, name: str) -> bool | None:
    """What a structured dictionary (RFC 9651) says of a use: ``train-ai=n`` False, ``=y`` True, else None."""
    found = re.findall(rf"(?:^|[,;\s]){re.escape(name)}\s*=\s*\"?(\w+)", value, re.I)
    return {"n": False, "y": True}.get(found[-1].lower()) if found else None


def _directives(value: str, agents: tuple[str, ...]) -> set[str]:
    """The directives that concern everybody or one of the agents: ``noai, otherbot: noindex``."""
    found: set[str] = set()
    known = {agent.lower() for agent in agents}
    concerned = True
    for part in re.split(r"[,;]", value.lower()[:4000]):
        name, colon, rest = part.partition(":")
        if colon and not name.strip().startswith(("max-", "unavailable")):
            concerned, part = name.strip() in known or name.strip() in ("robots", "*"), rest
        if concerned:
            found.add(part.strip())
    return found
