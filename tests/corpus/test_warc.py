"""WARC: every sound record is read once and every broken one is named, whatever lies between them."""

from __future__ import annotations

import gzip
import io
import json
import random
import zlib
from itertools import chain

import pyarrow as pa
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from test_sources import everything
from warcs import record

from seedstock.corpus.signals.optout import OptOut
from seedstock.corpus.sources import warc
from seedstock.corpus.sources.html_files import Html
from seedstock.corpus.sources.warc import Warc

pytest.importorskip("fastwarc")
PACKERS = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".zst": zstandard.compress,
    ".lz4": lambda data: pa.Codec("lz4").compress(data, asbytes=True),
}


def pages(count: int) -> list[bytes]:
    noise = random.Random(1)
    return [record(b"<p>page %d</p>" % n + noise.randbytes(noise.randrange(400))) for n in range(count)]


def bodies(items) -> list[bytes]:
    return [item.raw.partition(b"</p>")[0].removeprefix(b"<p>") for item in items]


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_page_comes_with_its_address_date_charset_and_rights_and_no_machine(tmp_path, suffix):
    rights = b"X-Robots-Tag: noai\r\nX-Robots-Tag: noimageai\r\nContent-Usage: train-ai=n\r\nTDM-Reservation: 1\r\n"
    found = [
        record(b"", kind=b"warcinfo", content_type=b"application/warc-fields"),
        record("<p>é</p>".encode("latin-1"), rights + b"Set-Cookie: secret=1\r\nX-Client-IP: 192.0.2.9\r\n"),
        record(b"nothing", status=b"404 Not Found"),
        record(b"\x89PNG", content_type=b"image/png"),
        record(b"plain", content_type=b"text/plain", uri=b"<https://example.org/plain>"),
        record(gzip.compress(b"packed"), b"Content-Encoding: gzip\r\n", content_type=b"text/html"),
        record(
            b"6\r\nchunks\r\n0\r\n\r\n", b"Transfer-Encoding: chunked\r\n", content_type=b"text/html; charset=wtf-9"
        ),
        record(
            b"ein Text",
            kind=b"conversion",
            content_type=b"text/plain",
            more=b"WARC-Identified-Content-Language: deu\r\n",
        ),
        record(b"<p>kept</p>", kind=b"resource", content_type=b"text/html"),
        record(b"cut by the crawler", more=b"WARC-Truncated: length\r\n"),
    ]
    name = f"a.warc{suffix}"
    (tmp_path / name).write_bytes(b"".join(map(PACKERS[suffix], found)))
    items, bad = everything(Warc(name="w", path=str(tmp_path)))
    assert bad == []
    assert [item.raw for item in items] == [
        *(
            "<p>é</p>".encode("latin-1"),
            b"plain",
            b"packed",
            b"chunks",
            b"ein Text",
            b"<p>kept</p>",
            b"cut by the crawler",
        )
    ]
    assert [(item.media_type, item.encoding) for item in items] == [
        *(("text/html", "iso8859-1"), (None, "utf-8"), ("text/html", "utf-8"), ("text/html", "utf-8")),
        *((None, "utf-8"), ("text/html", "utf-8"), ("text/html", "iso8859-1")),
    ]
    first = items[0]
    assert first.url == "https://example.org/" and first.meta["date"] == "2024-05-18T01:58:10Z"
    assert first.meta["headers"] == {
        "x-robots-tag": "noai, noimageai",
        "content-usage": "train-ai=n",
        "tdm-reservation": "1",
    }
    assert first.meta["charset"] == "latin-1" and "charset" not in items[3].meta
    assert items[1].url == "https://example.org/plain"
    assert items[4].meta["identified_language"] == "deu" and items[6].meta["truncated"] == "length"
    assert "192.0.2" not in repr(items) and "secret" not in repr(items)
    if suffix in ("", ".gz"):
        for item in items:
            with (tmp_path / name).open("rb") as file:
                file.seek(int(item.locator.partition("@")[2]))
                head = file.read() if not suffix else zlib.decompressobj(31).decompress(file.read())
                assert head.startswith(b"WARC/1.0")


@pytest.mark.parametrize("suffix", PACKERS)
def test_the_crawls_own_robots_txt_holds_for_the_pages_after_it(tmp_path, suffix):
    pytest.importorskip("protego")
    robots = b"User-agent: GPTBot\nDisallow: /no/\n"
    plain = b"text/plain"
    found = [
        record(b"too early", uri=b"https://a.org/no/1"),
        record(robots, uri=b"https://a.org/robots.txt", content_type=plain),
        record(b"gone", uri=b"https://b.org/robots.txt", content_type=plain, status=b"404 Not Found"),
        record(b"refused", uri=b"https://A.org/no/2"),
        record(b"not concerned", uri=b"https://a.org/yes"),
        record(b"nothing heard", uri=b"https://b.org/no/"),
        record(b'[{"location": "/", "tdm-reservation": 1}]', uri=b"https://b.org/.well-known/tdmrep.json",
               content_type=b"application/json"),
        record(b"reserved", uri=b"https://b.org/no/"),
    ]  # fmt: skip
    path = tmp_path / f"a.warc{suffix}"
    path.write_bytes(b"".join(map(PACKERS[suffix], found)))
    source = Warc(name="crawl", path=str(path), content_types=["text/html", "text/plain"])
    items, bad = everything(source)
    assert not bad and len(items) == 5 and not any(item.url.endswith((".txt", ".json")) for item in items)
    rows = [{"text": "", "url": item.url, "meta": json.dumps(item.meta)} for item in items]
    schema = pa.schema([("text", pa.large_string()), ("url", pa.string()), ("meta", pa.string())])
    answers = OptOut().compute(pa.RecordBatch.from_pylist(rows, schema)).to_pylist()
    assert [(row["robots"], row["tdmrep"], row["any"]) for row in answers] == [
        (None, None, None),
        (True, None, True),
        (False, None, False),
        (None, None, None),
        (None, True, True),
    ]
    assert answers[1]["evidence"] == ["robots: GPTBot may not fetch it"]


@pytest.mark.parametrize("suffix", ["", ".gz"])
@given(sizes=st.integers(1, 4000), count=st.integers(1, 25))
def test_each_record_is_read_once_whatever_the_pieces(tmp_path_factory, suffix, sizes, count):
    path = tmp_path_factory.mktemp("w") / f"a.warc{suffix}"
    path.write_bytes(b"".join(map(PACKERS[suffix], pages(count))))
    whole, _ = everything(Warc(name="w", path=str(path)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(warc, "SIZE", sizes)
        items, bad = everything(Warc(name="w", path=str(path)))
    assert items == whole and bad == [] and bodies(items) == [b"page %d" % n for n in range(count)]


@settings(max_examples=30)
@given(sizes=st.integers(1, 900), inner=st.lists(st.integers(0, 5), min_size=1, max_size=6))
def test_a_page_that_is_a_warc_file_is_one_page_whatever_the_pieces(tmp_path_factory, sizes, inner):
    path = tmp_path_factory.mktemp("w") / "a.warc"
    path.write_bytes(b"".join(record(b"<p>outer</p>" + b"".join(pages(count))) for count in inner))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(warc, "SIZE", sizes)
        items, bad = everything(Warc(name="w", path=str(path)))
    assert bad == [] and bodies(items) == [b"outer"] * len(inner)


@settings(max_examples=30)
@given(sizes=st.integers(1, 4000), at=st.floats(0, 1), hole=st.integers(1, 500))
def test_damage_is_named_and_the_rest_read_once_whatever_the_pieces(tmp_path_factory, sizes, at, hole):
    data = b"".join(pages(12))
    start = int(at * (len(data) - hole))
    path = tmp_path_factory.mktemp("w") / "a.warc"
    path.write_bytes(data[:start] + bytes(hole) + data[start + hole :])
    whole, _ = everything(Warc(name="w", path=str(path)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(warc, "SIZE", sizes)
        items, _ = everything(Warc(name="w", path=str(path)))
    assert [item.locator for item in items] == [item.locator for item in whole]


def test_a_file_of_one_member_is_read_whole_by_its_first_piece(tmp_path, monkeypatch):
    (tmp_path / "a.warc.gz").write_bytes(gzip.compress(b"".join(pages(20))))
    monkeypatch.setattr(warc, "SIZE", 500)
    items, bad = everything(Warc(name="w", path=str(tmp_path)))
    assert bodies(items) == [b"page %d" % n for n in range(20)] and bad == []
    assert len({item.locator for item in items}) == 20


BROKEN = {
    "clipped": lambda data: data[: len(data) // 2],
    "zeros within": lambda data: data[:30] + bytes(200) + data[230:],
    "noise before": lambda data: b"\x1f\x8b\x08garbage WARC/1.0 garbage" + data,
}


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_broken_record_is_named_and_the_next_ones_are_read(tmp_path, suffix, how):
    found = [PACKERS[suffix](page) for page in pages(9)]
    found[4] = BROKEN[how](found[4])
    (tmp_path / f"a.warc{suffix}").write_bytes(b"".join(found))
    items, bad = everything(Warc(name="w", path=str(tmp_path)))
    expected = [b"page %d" % n for n in range(9)]
    assert [body for body in bodies(items) if body in expected] == [
        body for body in expected if body in set(bodies(items))
    ]
    assert {*expected[:4], *expected[6:]} <= set(bodies(items)) and 1 <= len(bad) <= 2


@pytest.mark.parametrize("length", [10**12, 2**63 - 1, 2**70, 10**5, 3])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_length_that_lies_costs_its_record_alone(tmp_path, suffix, length):
    one, lie, two = record(b"<p>one</p>"), record(b"lie", length=length), record(b"<p>two</p>")
    (tmp_path / f"a.warc{suffix}").write_bytes(b"".join(map(PACKERS[suffix], (one, lie, two))))
    items, bad = everything(Warc(name="w", path=str(tmp_path)))
    assert bodies(items) == [b"one", b"two"] and len(bad) in (1, 2)


def test_what_is_too_long_or_grows_too_much_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(warc, "LONGEST", 10_000)
    bomb = gzip.compress(bytes(50 * 2**20))[:9000]
    found = [
        *(record(b"<p>one</p>"), record(bytes(20_000)), record(b"<p>two</p>")),
        *(record(gzip.compress(bytes(10**6)), b"Content-Encoding: gzip\r\n"), record(b"<p>three</p>")),
        *(record(bomb, b"Content-Encoding: gzip\r\n"), record(b"<p>four</p>")),
        *(record(b"no gzip", b"Content-Encoding: gzip\r\n"), record(b"<p>five</p>")),
        record(bomb[:-4000], b"Content-Encoding: deflate\r\n"),
        record(b"x", more=b"X-Long: " + b"y" * 10**6 + b"\r\n"),
        record(b"<p>six</p>"),
    ]
    for suffix in ("", ".gz"):
        path = tmp_path / f"a.warc{suffix}"
        path.write_bytes(b"".join(map(PACKERS[suffix], found)))
        items, bad = everything(Warc(name="w", path=str(path)))
        assert bodies(items) == [b"one", b"two", b"three", b"four", b"no gzip", b"five", b"six"]
        assert [one.reason.partition(":")[0].partition(" of ")[0] for one in bad] == [
            "the record is said to be",
            *["the answer is longer than 10000 bytes"] * 2,
            "the answer cannot be decoded",
            "damaged after the record that begins here",
        ]
        assert str(tmp_path) not in repr(bad)


def test_an_empty_or_foreign_file_gives_one_message_at_most(tmp_path):
    (tmp_path / "a.warc").write_bytes(b"")
    (tmp_path / "b.warc").write_bytes(b"<html>this is no WARC</html>")
    (tmp_path / "c.warc.gz").write_bytes(b"\x1f\x8b\x08not gzip")
    items, bad = everything(Warc(name="w", path=str(tmp_path)))
    assert items == [] and [one.locator for one in bad] == ["b.warc@0", "c.warc.gz@0"]


def test_types_that_are_no_text_are_refused():
    with pytest.raises(ValueError, match="'image/png' is not read"):
        Warc(name="w", path="a.warc", content_types=("image/png",))


def test_every_warc_of_the_data_pack(data_pack):
    found = {
        path.name.removeprefix("resiliparse-"): everything(Warc(name="w", path=str(path)))
        for path in sorted((data_pack / "web").glob("*.warc*"))
    }
    assert {name: (len(items), len(bad)) for name, (items, bad) in found.items()} == {
        **dict.fromkeys(("block-sized-records.warc", "block-sized-records.warc.gz"), (0, 0)),
        "block-sized-records.warc.lz4": (0, 0),
        "clipped.warc.gz": (0, 1),
        "clueweb-quirk.warc.gz": (29, 0),
        **dict.fromkeys(("warcfile.warc", "warcfile.warc.gz", "warcfile.warc.lz4"), (16, 0)),
        "whirlwind.warc.gz": (1, 0),
    }
    three = [found[f"warcfile.warc{suffix}"][0] for suffix in ("", ".gz", ".lz4")]
    assert [item.raw for item in three[0]] == [item.raw for item in three[1]] == [item.raw for item in three[2]]
    assert "clipped: 75207 of 88275" in found["clipped.warc.gz"][1][0].reason
    items = list(chain.from_iterable(items for items, _ in found.values()))
    assert all(item.url.startswith("http") and item.meta["date"] and item.raw for item in items)
    (page,) = found["whirlwind.warc.gz"][0]
    assert page.meta["charset"] == "utf-8" and "34.239.158.223" not in repr(page.meta)


def test_html_files(tmp_path):
    (tmp_path / "a.html").write_bytes("<p>é</p>".encode("latin-1"))
    (tmp_path / "b.xhtml.gz").write_bytes(gzip.compress(b"<html/>"))
    (tmp_path / "c.htm").write_bytes(b"")
    items, bad = everything(Html(name="h", path=str(tmp_path)))
    assert bad == [] and [(item.locator, item.media_type, item.text) for item in items] == [
        ("a.html", "text/html", None),
        ("b.xhtml.gz", "application/xhtml+xml", None),
        ("c.htm", "text/html", None),
    ]


def test_occurrences_over_the_edges_of_reads_are_found(monkeypatch):
    monkeypatch.setattr(warc, "_STEP", 16)
    data = bytes(14) + b"abcd" + bytes(11) + b"abcd" + b"abcd"
    found = [at for at in range(len(data)) if data.startswith(b"abcd", at)]
    assert list(warc._occurrences(io.BytesIO(data), b"abcd", 0, None)) == found
    assert list(warc._occurrences(io.BytesIO(data), b"abcd", 15, 33)) == found[1:2]
