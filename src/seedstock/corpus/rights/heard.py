"""What the files of hosts say that a crawl has among its pages: robots.txt, tdmrep.json, ai.txt, heard as they pass.

A page is asked about when it is read, and what holds for it goes into its meta under ``host``, so that no second pass
is needed and nothing of other pages is kept. A file that comes after a page is too late for it.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from seedstock.corpus.rights.robots import LONGEST, PLACES, Host

MEMORY = 32 * 2**20  # bytes of files that are remembered; the oldest are forgotten first
_AGENT = re.compile(r"(?im)^[ \t]*user-agent[ \t]*:[ \t]*([^\s#]{1,100})")
_NAMED = 200  # agents of one robots.txt that are asked about


class Heard:
    """The hosts' files that came by so far."""

    def __init__(self) -> None:
        self.hosts: dict[str, Host] = {}
        self.bytes = 0

    def take(self, url: str | None, body: bytes) -> None:
        """Remembers an answer, where it is such a file."""
        host, path = _parts(url)
        name = PLACES.get(path)
        if not host or name is None:
            return
        found = self.hosts.pop(host, None) or Host()
        self.bytes -= _size(found)
        setattr(found, name, body[:LONGEST].decode("utf-8", "replace"))
        found.parsed.clear()
        self.hosts[host] = found
        self.bytes += _size(found)
        while self.bytes > MEMORY and len(self.hosts) > 1:
            self.bytes -= _size(self.hosts.pop(next(iter(self.hosts))))

    def about(self, url: str | None) -> dict[str, Any]:
        """What holds for an address, as far as something was heard of its host.

        robots   ``refused``: the agents that may not fetch it, ``*`` for all but those in ``named``, who are told
                 otherwise; in small letters
        usage    the ``Content-Usage`` value by agent
        tdmrep   whether tdmrep.json reserves it
        ai       whether ai.txt disallows it to everybody
        """
        host = self.hosts.get(_parts(url)[0])
        if host is None or url is None:
            return {}
        found: dict[str, Any] = {}
        if host.robots is not None:
            everybody = host.refuses(url, ("*",)) is not None
            agents = sorted({name.lower() for name in _AGENT.findall(host.robots)} - {"*"})[:_NAMED]
            named = [name for name in agents if (host.refuses(url, (name,)) is not None) != everybody]
            found["robots"] = {"refused": ["*"] if everybody else named, "named": named}
            if usage := host.usages(url):
                found["usage"] = usage
        if (reserved := host.reservation(url)) is not None:
            found["tdmrep"] = reserved
        if host.ai is not None:
            found["ai"] = host.refuses(url, ("*",), "ai") is not None
        return found


def is_host_file(url: str | None) -> bool:
    """Whether an address is that of a host's robots.txt, tdmrep.json or ai.txt."""
    host, path = _parts(url)
    return bool(host) and path in PLACES


def _parts(url: str | None) -> tuple[str, str]:
    try:
        parts = urlsplit(url or "")
        return parts.netloc.lower(), parts.path
    except ValueError:
        return "", ""


def _size(host: Host) -> int:
    return sum(len(text or "") for text in (host.robots, host.tdmrep, host.ai))
