"""What a host's files say of machine learning: robots.txt (RFC 9309), its Content-Usage lines, tdmrep.json, ai.txt.

They come from JSON lines ``{"host": …, "robots": …, "tdmrep": …, "ai": …}`` or from the records of WARC files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from seedstock.corpus.rights.lists import HOSTS
from seedstock.corpus.sources.files import find, problem, stem, stream
from seedstock.errors import DataError

PLACES = {"/robots.txt": "robots", "/.well-known/tdmrep.json": "tdmrep", "/ai.txt": "ai"}
LONGEST = 512 * 1024  # bytes of a file that count: the least that RFC 9309 asks of a crawler
FIX = 'give JSON lines of {"host": ..., "robots": ...} or WARC files'


@dataclass
class Host:
    """The files of one host, as text; None where there is none on record."""

    robots: str | None = None
    tdmrep: str | None = None
    ai: str | None = None
    parsed: dict[str, Any] = field(default_factory=dict)

    def refuses(self, url: str, agents: Sequence[str], name: str = "robots") -> str | None:
        """The first of the agents that may not fetch a URL, with its file's name; None where all may."""
        text = getattr(self, name)
        if not text:
            return None
        if name not in self.parsed:
            from seedstock.corpus.sources.base import needs

            self.parsed[name] = needs("protego", "protego, which reads robots.txt,", "web").Protego.parse(text)
        return next((agent for agent in agents if not self.parsed[name].can_fetch(url, agent)), None)

    def usage(self, url: str, agents: Sequence[str]) -> str | None:
        """The ``Content-Usage`` value that robots.txt has for a URL: that of the first agent with one, else of all."""
        found = self.usages(url)
        return next((found[name] for name in (*(agent.lower() for agent in agents), "*") if name in found), None)

    def usages(self, url: str) -> dict[str, str]:
        """The ``Content-Usage`` value for a URL by agent, in small letters (draft-ietf-aipref-attach): of the rules in
        its groups that match, the one with the longest path."""
        if not self.robots or "content-usage" not in self.robots.lower():
            return {}
        if "usage" not in self.parsed:
            self.parsed["usage"] = list(_usages(self.robots))
        parts = urlsplit(url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        fits: dict[str, list[tuple[int, str]]] = {}
        for names, rule, value in self.parsed["usage"]:
            if _fits(path, rule):
                for name in names:
                    fits.setdefault(name, []).append((len(rule), value))
        return {name: max(found)[1] for name, found in sorted(fits.items())}

    def reservation(self, url: str) -> bool | None:
        """Whether tdmrep.json reserves the rights of text and data mining for a URL (W3C TDMRep, 2024)."""
        if not self.tdmrep:
            return None
        if "tdmrep" not in self.parsed:
            try:
                found = json.loads(self.tdmrep)
            except (ValueError, RecursionError):
                found = []
            self.parsed["tdmrep"] = found if isinstance(found, list) else [found]
        path = urlsplit(url).path or "/"
        rules = [rule for rule in self.parsed["tdmrep"] if isinstance(rule, dict) and "location" in rule]
        fits = [
            rule for rule in rules if fnmatchcase(path, str(rule["location"])) or _fits(path, str(rule["location"]))
        ]
        if not fits:
            return None
        longest = max(fits, key=lambda rule: len(str(rule["location"])))
        return str(longest.get("tdm-reservation", "0")).strip() == "1"


def _usages(text: str) -> Iterator[tuple[frozenset[str], str, str]]:
    """(agents, path, value) of each Content-Usage line; a line without a path is of all paths."""
    agents: set[str] = set()
    open_group = False
    for line in text[:LONGEST].splitlines():
        name, _, value = line.partition("#")[0].partition(":")
        name, value = name.strip().lower(), value.strip()
        if name == "user-agent":
            agents = agents if open_group else set()
            agents.add(value.lower())
            open_group = True
        elif name in ("allow", "disallow", "content-usage", "crawl-delay"):
            open_group = False
            if name == "content-usage":
                path, _, rest = value.partition(" ") if value.startswith("/") else ("/", "", value)
                yield frozenset(agents or {"*"}), path, rest.strip()


def _fits(path: str, rule: str) -> bool:
    """Whether a path matches a rule of robots.txt: a prefix, with ``*`` for anything and ``$`` for the end."""
    pattern = rule.replace("[", "[[]").replace("?", "[?]")
    return fnmatchcase(path, pattern[:-1] if pattern.endswith("$") else f"{pattern}*")


def read(paths: Sequence[str], where: str) -> dict[str, Host]:
    """The hosts of the files that are given. Raises DataError where one is missing or cannot be read."""
    hosts: dict[str, Host] = {}
    for file in find(paths, HOSTS, where) if paths else []:
        try:
            for host, name, text in _warc(file.path) if stem(file.name).endswith(".warc") else _lines(file.path):
                setattr(hosts.setdefault(host.lower(), Host()), name, text[:LONGEST])
        except (OSError, ValueError, RecursionError) as error:
            raise DataError(f"cannot be read: {problem(error)}", where=f"{where}: {file.name}", fix=FIX) from error
    return hosts


def _lines(path: str) -> Iterator[tuple[str, str, str]]:
    with stream(path) as file:
        number = 0
        while line := file.readline(8 * LONGEST):
            number += 1
            record = json.loads(line) if line.strip() else None
            if record is None:
                continue
            if not isinstance(record, dict) or not isinstance(record.get("host"), str):
                raise ValueError(f"line {number} has no host")
            for name in ("robots", "tdmrep", "ai"):
                if (text := record.get(name)) is not None:
                    yield record["host"], name, text if isinstance(text, str) else json.dumps(text)


def _warc(path: str) -> Iterator[tuple[str, str, str]]:
    """robots.txt, tdmrep.json and ai.txt among the answers of a local WARC file; up to where it breaks off."""
    from seedstock.corpus.sources.base import needs

    warc = needs("fastwarc.warc", "fastwarc, which reads WARC files,", "web")
    with Path(path).open("rb") as file:
        try:
            for record in warc.ArchiveIterator(file, record_types=warc.WarcRecordType.response, parse_http=True):
                parts = urlsplit((record.headers.get("WARC-Target-URI") or "").strip("<>"))
                name = PLACES.get(parts.path)
                if name and record.http_headers is not None and record.http_headers.status_code == 200:
                    yield parts.netloc, name, record.reader.read(LONGEST).decode("utf-8", "replace")
        except BaseException as error:  # the library's panics are no Exceptions
            if not isinstance(error, OSError | ValueError) and type(error).__name__ != "PanicException":
                raise
