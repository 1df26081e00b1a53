"""Pictures by their URLs: fetched politely where the recipe allows it, and every one that was not is named."""

from __future__ import annotations

import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from local_server import serve
from made_media import picture

from seedstock.corpus.sources.base import Item
from seedstock.corpus.sources.image_text import ImageText

PLACES = {
    "/fine.png": (200, {}, picture(seed=1)),
    "/robots.txt": (200, {}, b"User-agent: *\nDisallow: /private/*.png\n"),
    "/private/x.png": (200, {}, picture(seed=2)),
    "/noai.png": (200, {"X-Robots-Tag": "noai"}, picture(seed=3)),
    "/large.png": (200, {}, picture(seed=4) * 300),
    "/text.png": (200, {}, b"<html>moved</html>"),
    "/there.png": (302, {"Location": "/fine.png"}, b""),
    "/loop.png": (302, {"Location": "/loop.png"}, b""),
    "/file.png": (302, {"Location": "file:///etc/passwd"}, b""),
    "/gone.png": (410, {}, b""),
}


def answer(method, path, headers, body):
    return PLACES.get(path, (404, {}, b""))


def read(folder, urls, **fetch):
    table = pa.table({"url": urls, "text": [f"a caption of {url}" for url in urls]})
    pq.write_table(table, folder / "x.parquet")
    polite = {"contact": "someone@example.org", "delay": 0, "longest": "50 kB", "timeout": 2, "attempts": 1, **fetch}
    source = ImageText(name="p", path=str(folder), fetch=polite)
    found = [item for part in source.partitions() for item in source.read(part)]
    items = {item.url.rpartition("/")[2]: item for item in found if isinstance(item, Item)}
    rest = [item for item in found if not isinstance(item, Item)]
    bad = {urls[int(item.locator.rpartition(":")[2])].rpartition("/")[2]: item.reason for item in rest}
    return items, bad


def test_what_may_be_fetched_is_and_the_rest_is_named(tmp_path):
    with serve(answer) as server:
        urls = [server.url + path for path in PLACES if path != "/robots.txt"]
        items, bad = read(tmp_path, [*urls, "ftp://host/other.png", server.url + "/missing.png"], private=True)
        agents = {headers["User-Agent"] for _, headers, _ in server.seen}
        asked = [path for path, _, _ in server.seen]
    assert {name: item.media for name, item in items.items()} == {
        name: picture(seed=1) for name in ("fine.png", "there.png")
    }
    assert items["fine.png"].text.endswith("/fine.png") and agents == {"seedstock (+someone@example.org)"}
    assert asked.count("/robots.txt") == 1 and "/private/x.png" not in asked
    expected = {
        "noai.png": "opts out", "large.png": "more than the limit", "text.png": "not a picture", "gone.png": "410",
        "missing.png": "404", "loop.png": "", "file.png": "",
    }  # fmt: skip
    assert all(why in bad[name] for name, why in expected.items()), bad
    assert sum("robots.txt forbids" in reason for reason in bad.values()) == 1
    assert sum("not an http or https URL" in reason for reason in bad.values()) == 1 and len(bad) == 9


def test_addresses_of_the_own_network_are_refused_unless_allowed(tmp_path):
    with serve(answer) as server:
        items, bad = read(tmp_path, [server.url + "/fine.png"])
        assert not items and not server.seen
    assert "private network, which `fetch: {private: true}` allows" in bad["fine.png"]


def test_one_host_is_asked_at_the_pace_of_the_recipe(tmp_path):
    with serve(answer) as server:
        began = time.monotonic()
        items, _ = read(tmp_path, [server.url + "/fine.png"] * 4, private=True, robots=False, delay=0.2)
        assert items and time.monotonic() - began >= 0.6


@pytest.mark.parametrize("robots", [(500, {}, b""), (404, {}, b"")])
def test_a_host_whose_robots_file_fails_is_left_alone_and_one_without_is_not(tmp_path, robots):
    with serve(lambda m, path, h, b: robots if path == "/robots.txt" else answer(m, path, h, b)) as server:
        items, _ = read(tmp_path, [server.url + "/fine.png"], private=True)
    assert bool(items) == (robots[0] == 404)
