"""Fetching by HTTP as a good guest: robots.txt, one request a host at a time, caps on bytes and time, opt-outs."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http.client
import ipaddress
import os
import socket
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from pydantic import Field

from seedstock.config import Bytes, Config, Seconds
from seedstock.corpus.media.types import needs

AGENT = "seedstock"
OPT_OUTS = ("noai", "noimageai", "noindex", "noimageindex", "none")
_ROBOTS_BYTES = 500 * 1024  # RFC 9309, section 2.5
_BLOCK = 1 << 16
_LONGEST_WAIT = 60.0  # seconds that a host may ask for; who asks for more is left alone


class Fetch(Config):
    """How to fetch: ``contact`` (an address or a page) goes into the user agent, so that a host can complain.

    ``delay`` seconds between two requests to one host, from all workers of this machine together; ``timeout`` for one
    answer as a whole; ``longest`` bytes; ``attempts`` where a host is busy; ``private`` allows addresses inside of the
    own network, which a list of URLs from elsewhere has no business with.
    """

    contact: Annotated[str, Field(min_length=3, pattern=r"^[\x21-\x7e]+$")]
    delay: Annotated[Seconds, Field(ge=0, le=_LONGEST_WAIT)] = 1.0
    timeout: Annotated[Seconds, Field(gt=0, le=60)] = 20.0
    longest: Annotated[Bytes, Field(gt=0)] = 20_000_000
    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    robots: bool = True
    private: bool = False


class Refused(Exception):
    """What was not fetched, and why, in a few words that name no address of this machine."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came: ``url`` after redirects, ``headers`` by their names in small letters, repeated ones joined."""

    data: bytes
    url: str
    status: int
    headers: dict[str, str]


class Fetcher:
    """Fetches one URL at a time."""

    def __init__(self, config: Fetch) -> None:
        self.config = config
        self._robots: dict[str, Any] = {}
        self._unread: dict[str, str] = {}  # why a host's robots.txt could not be read
        self._delays: dict[str, float] = {}
        outer = self

        class Checked(http.client.HTTPConnection):
            def connect(self) -> None:
                super().connect()
                outer._check(self.sock)

        class CheckedTls(http.client.HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                outer._check(self.sock)

        class Plain(urllib.request.HTTPHandler):
            def http_open(self, request: Any) -> Any:
                return self.do_open(Checked, request)

        class Tls(urllib.request.HTTPSHandler):
            def https_open(self, request: Any) -> Any:
                return self.do_open(CheckedTls, request)

        self._proxied = bool(urllib.request.getproxies())
        self._opener = urllib.request.build_opener(Plain, Tls)
        self._opener.addheaders = [("User-Agent", f"{AGENT} (+{config.contact})"), ("Accept-Encoding", "identity")]

    def get(self, url: str) -> bytes:
        """The bytes at ``url``. Raises Refused."""
        return self.fetch(url).data

    def fetch(self, url: str, headers: Mapping[str, str] | None = None, longest: int | None = None) -> Answer:
        """The answer to a request with ``headers``, of at most ``longest`` bytes. Raises Refused."""
        url = quote(url, safe="%/:=&?~#+!$,;'@()*[]")  # as browsers do with what stands in pages
        parts = _parts(url)
        if self.config.robots and not self._allowed(url, parts):
            raise Refused(self._unread.get(f"{parts.scheme}://{parts.netloc}") or "robots.txt forbids it")
        for attempt in range(self.config.attempts):
            try:
                answer = self._once(url, parts, longest, headers)
                there = _parts(answer.url)
                if self.config.robots and there.netloc != parts.netloc and not self._allowed(answer.url, there):
                    raise Refused("it leads to another host, whose robots.txt forbids it")
                return answer
            except _Busy as busy:
                wait = busy.wait if busy.wait is not None else min(2.0**attempt, _LONGEST_WAIT)
                if attempt + 1 == self.config.attempts or wait > _LONGEST_WAIT:
                    raise Refused(f"{busy} ({attempt + 1} attempts)") from None
                time.sleep(wait)
        raise AssertionError("unreachable")

    def _once(
        self, url: str, parts: Any, longest: int | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        longest = longest or self.config.longest
        deadline = time.monotonic() + self.config.timeout
        delay = max(self.config.delay, self._delays.get(parts.netloc, 0.0))
        with _turn(parts.netloc, delay):
            try:
                request = urllib.request.Request(url, headers=dict(headers or {}))
                with self._opener.open(request, timeout=self.config.timeout) as answer:
                    tags = ",".join(answer.headers.get_all("X-Robots-Tag") or []).lower()
                    said = {tag.strip().rpartition(":")[2].strip() for tag in tags.split(",")}
                    if out := said.intersection(OPT_OUTS):
                        raise Refused(f"the host opts out: X-Robots-Tag: {', '.join(sorted(out))}")
                    announced = answer.headers.get("Content-Length") or ""
                    if announced.isdigit() and int(announced) > longest:
                        raise Refused(f"{announced} bytes are more than the limit of {longest}")
                    data = b"".join(_body(answer, longest, deadline))
                    if announced.isdigit() and len(data) < int(announced):
                        raise _Busy(f"the answer breaks off after {len(data)} of {announced} bytes")
                    kept = dict[str, str]()
                    for name, value in answer.headers.items():
                        own = name.lower()
                        kept[own] = f"{kept[own]}, {value}" if own in kept else value
                    return Answer(data, answer.url, answer.status, kept)
            except urllib.error.HTTPError as error:
                error.close()
                if error.code in (408, 429, 500, 502, 503, 504):
                    raise _Busy(f"HTTP status {error.code}", retry_after(error.headers.get("Retry-After"))) from None
                raise Refused(f"HTTP status {error.code}") from None
            except (OSError, http.client.HTTPException) as error:
                cause = getattr(error, "reason", error)
                if isinstance(cause, Refused):
                    raise cause from None
                if isinstance(cause, socket.gaierror):
                    raise Refused("the host is not known") from None
                raise _Busy(f"no answer: {str(cause) or type(cause).__name__}") from None
            except ValueError as error:  # a redirect to what is no URL
                raise Refused(f"not fetched: {error}") from None

    def _allowed(self, url: str, parts: Any) -> bool:
        base = f"{parts.scheme}://{parts.netloc}"
        if base not in self._robots:
            protego = needs("protego", "protego, which reads robots.txt,")
            try:
                text = self._once(f"{base}/robots.txt", parts, _ROBOTS_BYTES).data.decode("utf-8", "replace")
                rules = self._robots[base] = protego.Protego.parse(text)
                self._delays[parts.netloc] = min(rules.crawl_delay(AGENT) or 0.0, _LONGEST_WAIT)
            except Refused as refused:
                # RFC 9309, 2.3.1: no such file allows everything, a host that fails forbids everything.
                self._robots[base] = "HTTP status 4" in str(refused) or None
                self._unread[base] = f"robots.txt cannot be read: {refused}"
            except _Busy as busy:
                self._robots[base] = None
                self._unread[base] = f"robots.txt cannot be read: {busy}"
        rules = self._robots[base]
        return bool(rules) if rules is True or rules is None else bool(rules.can_fetch(url, AGENT))

    def _check(self, connection: Any) -> None:
        """Looks at the address that was really connected to: a name can be made to mean another one in between."""
        if self.config.private or self._proxied:
            return
        address = ipaddress.ip_address(connection.getpeername()[0].split("%")[0])
        if not address.is_global:
            connection.close()
            raise Refused("the address is inside of a private network, which `fetch: {private: true}` allows")


class _Busy(Exception):
    def __init__(self, what: str, wait: float | None = None) -> None:
        super().__init__(what)
        self.wait = wait


def _parts(url: str) -> Any:
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and not parts.username:
            return parts
    except ValueError:
        pass
    raise Refused("not an http or https URL")


def _body(answer: Any, longest: int, deadline: float) -> Iterator[bytes]:
    read = 0
    while block := answer.read1(_BLOCK):
        read += len(block)
        if read > longest:
            raise Refused(f"longer than the limit of {longest} bytes")
        if time.monotonic() > deadline:
            raise _Busy("the answer takes too long")
        yield block


def retry_after(value: str | None) -> float | None:
    """Seconds to wait by a Retry-After header (RFC 9110, 10.2.3): a number, or a date."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    return None


@contextlib.contextmanager
def _turn(host: str, delay: float) -> Iterator[None]:
    """Waits for this host's turn: one request at a time on this machine, ``delay`` seconds apart."""
    folder = Path(tempfile.gettempdir()) / f"seedstock-fetch-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    with (folder / hashlib.sha256(host.encode()).hexdigest()[:24]).open("a+") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        mark.seek(0)
        with contextlib.suppress(ValueError):
            time.sleep(min(max(0.0, float(mark.read() or 0) + delay - time.time()), delay))
        try:
            yield
        finally:
            mark.truncate(0)
            mark.write(f"{time.time():.3f}")
