"""Fetching by a list: what may be had is had politely, and everything else is named."""

from __future__ import annotations

import gzip
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

import pytest
from test_sources import everything
from test_warc import bodies, pages

from seedstock.corpus.sources import common_crawl
from seedstock.corpus.sources.common_crawl import CommonCrawl
from seedstock.errors import DataError

pytest.importorskip("fastwarc")
pytest.importorskip("protego")
MEMBERS = [gzip.compress(member) for member in pages(12)]
ROBOTS = b"User-agent: seedstock\nDisallow: /private\nCrawl-delay: 0.05\n"


class Site(BaseHTTPRequestHandler):
    """A small site on this machine, and what was asked of it."""

    asked: list[tuple[str, str, float]] = []  # noqa: RUF012 - one site a test
    ranges = True
    etag = '"one"'

    def do_GET(self) -> None:
        seen = sum(path == self.path for path, _, _ in self.asked)
        self.asked.append((self.path, self.headers["User-Agent"], time.monotonic()))
        html = {"Content-Type": "text/html; charset=iso-8859-1"}
        if self.path == "/robots.txt":
            self.answer(200, ROBOTS, {"Content-Type": "text/plain"})
        elif self.path.startswith("/page"):
            self.answer(200, "<p>é</p>".encode("latin-1"), {**html, "TDM-Reservation": "1", "Set-Cookie": "a=secret"})
        elif self.path == "/moved":
            self.answer(302, b"", {"Location": "/page/new"})
        elif self.path == "/busy":
            self.answer(*((503, b"", {"Retry-After": "0"}) if seen < 2 else (200, b"<p>at last</p>", html)))
        elif self.path == "/always":
            self.answer(429, b"", {"Retry-After": "0"})
        elif self.path == "/wait":
            self.answer(429, b"", {"Retry-After": "86400"})
        elif self.path == "/noai":
            self.answer(200, b"<p>no</p>", {**html, "X-Robots-Tag": "otherbot: noindex, noai"})
        elif self.path == "/large":
            self.answer(200, b"x" * 5000, html)
        elif self.path == "/bomb":
            self.answer(200, gzip.compress(bytes(10**6)), {**html, "Content-Encoding": "gzip"})
        elif self.path == "/image":
            self.answer(200, b"\x89PNG", {"Content-Type": "image/png"})
        elif self.path == "/short":
            self.answer(200, b"<p>cut", {**html, "Content-Length": "100"})
        elif self.path == "/crawl/a.warc.gz":
            self.archive(b"".join(MEMBERS))
        else:
            self.answer(404, b"gone", {})

    def archive(self, data: bytes) -> None:
        asked = self.headers["Range"]
        if not asked or not self.ranges:
            self.answer(200, data, {"Content-Type": "application/gzip"})
            return
        first, last = (int(part) for part in asked.removeprefix("bytes=").split("-"))
        part = data[first : last + 1]
        told = f"bytes {first}-{first + len(part) - 1}/{len(data)}"
        self.answer(206, part, {"Content-Range": told, "ETag": self.etag})

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments) -> None:
        pass


@pytest.fixture
def site(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Site, "asked", [])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def crawl(tmp_path, site: str, *lines: str, **given) -> CommonCrawl:
    (tmp_path / "list.txt").write_text("# a list\n\n" + "".join(f"{line}\n" for line in lines))
    how = {"contact": "a@example.org", "delay": 0, "private": True, "timeout": 5, "longest": 2000} | given
    return CommonCrawl(name="c", path=str(tmp_path / "list.txt"), base=f"{site}/", fetch=how)


def test_pages_come_with_their_headers_and_the_rest_is_named(tmp_path, site):
    paths = ["page", "moved", "busy", "gone", "always", "wait", "noai", "private/x", "large", "bomb", "image", "short"]
    lines = [f"{site}/{path}" for path in (*paths, "page")]
    items, bad = everything(crawl(tmp_path, site, *lines, "ftp://example.org/x"))
    assert [(item.locator.removeprefix(site), item.url.removeprefix(site), item.raw) for item in items] == [
        ("/page", "/page", "<p>é</p>".encode("latin-1")),
        ("/moved", "/page/new", "<p>é</p>".encode("latin-1")),
        ("/busy", "/busy", b"<p>at last</p>"),
    ]
    assert items[0].encoding == "iso8859-1" and items[0].media_type == "text/html"
    assert (
        items[0].meta["headers"] == {"tdm-reservation": "1"} and items[0].meta["date"] and "secret" not in repr(items)
    )
    reasons = {one.locator.removeprefix(site): one.reason for one in bad}
    assert list(reasons) == [*(f"/{path}" for path in paths[3:]), "ftp://example.org/x"]
    for path, said in {
        "/gone": "HTTP status 404",
        "/always": "HTTP status 429 (3 attempts)",
        "/wait": "HTTP status 429",
        "/noai": "opts out",
        "/private/x": "robots.txt forbids",
        "/large": "limit of 2000",
        "/bomb": "longer than 2000",
        "/image": "its type is image/png",
        "/short": "breaks off after 6 of 100",
        "ftp://example.org/x": "not an http",
    }.items():
        assert said in reasons[path]
    asked = [path for path, _, _ in Site.asked]
    assert "/private/x" not in asked and asked.count("/robots.txt") == 1 and asked.count("/page") == 1
    assert {agent for _, agent, _ in Site.asked} == {"seedstock (+a@example.org)"}


def test_a_host_is_asked_no_faster_than_its_robots_txt_says(tmp_path, site):
    everything(crawl(tmp_path, site, *(f"{site}/page/{n}" for n in range(4))))
    at = [when for path, _, when in Site.asked if path != "/robots.txt"]
    assert len(at) == 4 and all(later - before > 0.04 for before, later in pairwise(at))


@pytest.mark.parametrize("step", [10**6, 500])
def test_a_warc_file_is_fetched_in_steps_by_its_path_and_by_ranges_of_it(tmp_path, site, monkeypatch, step):
    monkeypatch.setattr(common_crawl, "STEP", step)
    items, bad = everything(crawl(tmp_path, site, "crawl/a.warc.gz", longest=10**6))
    starts = [sum(map(len, MEMBERS[:n])) for n in range(12)]
    assert bad == [] and bodies(items) == [b"page %d" % n for n in range(12)]
    assert [item.locator for item in items] == [f"crawl/a.warc.gz@{start}" for start in starts]
    lines = [
        f"crawl/a.warc.gz {starts[3]} {len(MEMBERS[3])}",
        f'org,a)/ 2024 {{"filename": "crawl/a.warc.gz", "offset": "{starts[7]}", "length": "{len(MEMBERS[7])}"}}',
        f"crawl/a.warc.gz {starts[5]} 100",
        "crawl/none.warc.gz 0 100",
    ]
    items, bad = everything(crawl(tmp_path, site, *lines, longest=10**6))
    assert [(item.locator, body) for item, body in zip(items, bodies(items), strict=True)] == [
        (f"crawl/a.warc.gz@{starts[3]}", b"page 3"),
        (f"crawl/a.warc.gz@{starts[7]}", b"page 7"),
    ]
    assert [one.locator.removeprefix(f"{site}/") for one in bad] == [
        f"crawl/a.warc.gz@{starts[5]}",
        "crawl/none.warc.gz@0",
    ]


def test_a_server_without_ranges_is_no_trouble_for_a_small_file(tmp_path, site, monkeypatch):
    monkeypatch.setattr(Site, "ranges", False)
    items, bad = everything(crawl(tmp_path, site, "crawl/a.warc.gz", "crawl/a.warc.gz 100 50", longest=10**6))
    assert len(items) == 12 and "gives no ranges" in bad[0].reason


def test_a_file_larger_than_the_cap_is_not_fetched(tmp_path, site):
    source = crawl(tmp_path, site, "crawl/a.warc.gz").model_copy(update={"largest": 1000})
    items, bad = everything(source)
    assert items == [] and "longer than 1000 bytes" in bad[0].reason


def test_a_host_that_does_not_answer_for_its_robots_txt_is_left_alone(tmp_path, site, monkeypatch):
    monkeypatch.setattr("test_crawl.ROBOTS", b"")
    monkeypatch.setattr(Site, "do_GET", lambda self: self.answer(500, b"", {}))
    _, bad = everything(crawl(tmp_path, site, f"{site}/page", attempts=1))
    assert bad[0].reason == "not fetched: robots.txt cannot be read: HTTP status 500"


@pytest.mark.parametrize(
    "line", ["no address", "a.warc.gz 1 x", '{"filename": 1', "example.org/page", "a.warc.gz -1 5"]
)
def test_a_line_that_is_no_address_is_told_by_its_number(tmp_path, line):
    with pytest.raises(DataError) as caught:
        crawl(tmp_path, "http://127.0.0.1", "a.warc.gz", line).partitions()
    assert "list.txt:4" in str(caught.value)


def test_a_fingerprint_follows_the_list(tmp_path):
    one = crawl(tmp_path, "http://127.0.0.1", "a.warc.gz").fingerprint()
    assert crawl(tmp_path, "http://127.0.0.1", "a.warc.gz", "a.warc.gz").fingerprint() == one
    assert crawl(tmp_path, "http://127.0.0.1", "b.warc.gz").fingerprint() != one
