"""Licences by text and by marks, and the files in which hosts say what they do not want."""

import gzip
import importlib.metadata
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedstock.corpus.rights import licence_text, marks, robots
from seedstock.errors import DataError

identify_licences = pytest.importorskip("identify.vendor.licenses").LICENSES


def names(text):
    return [found.name for found in licence_text.identify(text)]


# Two that are printed with their owners' names in the middle of what they say.
NAMED = {"NCSA", "PostgreSQL"}


@pytest.mark.parametrize("name, text", [(n, t) for n, t in identify_licences if n not in NAMED], ids=lambda v: v[:14])
def test_licence_texts_of_another_collection_are_known(name, text):
    assert names(text)[0].startswith(name)
    code = "import os\n\n" + "\n".join(f"def f{n}(x):\n    return x + {n} * os.getpid()" for n in range(300))
    commented = "/*\n * " + text.upper().replace("\n", "\n * ") + "\n */\n"
    assert names(commented + code)[0].startswith(name)


def test_licence_files_of_installed_packages_agree_with_what_they_declare():
    agree = differ = 0
    for package in importlib.metadata.distributions():
        declared = package.metadata.get("License-Expression") or ""
        if declared not in ("MIT", "Apache-2.0", "BSD-3-Clause", "BSD-2-Clause", "ISC", "MPL-2.0"):
            continue
        files = [
            file for file in package.files or () if "dist-info" in str(file) and file.name.upper().startswith("LICENSE")
        ]
        if len(files) == 1 and len(text := files[0].locate().read_text(errors="replace")) > 500:
            agree += declared in names(text)
            differ += declared not in names(text)
    assert agree >= 10 and agree / (agree + differ) > 0.9


def test_two_and_three_clauses_one_and_several_licences_are_told_apart():
    texts = dict(identify_licences)
    assert names(texts["BSD-2-Clause"]) == ["BSD-2-Clause"]
    assert names(texts["BSD-3-Clause"]) == ["BSD-3-Clause"]
    assert names(texts["ISC"]) == ["ISC"]
    assert names(texts["0BSD"]) == ["0BSD"]
    assert set(names(texts["MIT"] + "\n\n" + texts["Apache-2.0"])) == {"MIT", "Apache-2.0"}


@pytest.mark.parametrize(
    "text, expected",
    [
        ('Licensed under the Apache License, Version 2.0 (the "License"); you may not use this', ["Apache-2.0"]),
        ("This Source Code Form is subject to the terms of the Mozilla Public\n# License, v. 2.0.", ["MPL-2.0"]),
        (
            "under the terms of the GNU General Public License as published by the Free Software Foundation, either "
            "version 3 of the License, or (at your option) any later version. This program is distributed",
            ["GPL-3.0-or-later"],
        ),
        (
            "under the terms of the GNU Lesser General Public License version 2.1 as published by the FSF. This is",
            ["LGPL-2.1-only"],
        ),
        ("The quick brown fox jumps over the lazy dog, and its licence is nobody's business at all, of course.", []),
        ("", []),
    ],
)
def test_notices(text, expected):
    assert names(text) == expected


def test_books_and_code_are_no_licences(data_pack):
    import zstandard

    for path in ("text/books.jsonl.zst", "code/thealgorithms.jsonl.zst"):
        data = zstandard.decompress((data_pack / path).read_bytes(), max_output_size=1 << 28)
        texts = [json.loads(line)["text"] for line in data.splitlines()[::10]]
        assert [names(text) for text in texts] == [[]] * len(texts)


@pytest.mark.parametrize(
    "url, name",
    [
        ("https://creativecommons.org/licenses/by-sa/4.0/", "CC-BY-SA-4.0"),
        ("http://creativecommons.org/licenses/by-nc-nd/3.0/us/", "CC-BY-NC-ND-3.0"),
        ("//www.creativecommons.org/licenses/by/3.0/deed.de", "CC-BY-3.0"),
        ("https://creativecommons.org/licenses/nc-sa/1.0/", None),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0"),
        ("https://creativecommons.org/publicdomain/mark/1.0/", "LicenseRef-Public-Domain"),
        ("https://opensource.org/licenses/MIT", "MIT"),
        ("http://www.apache.org/licenses/LICENSE-2.0.html", "Apache-2.0"),
        ("https://creativecommons.org/about", None),
        ("https://example.org/license", None),
    ],
)
def test_the_licence_that_an_address_leads_to(url, name):
    assert marks.of_url(url) == name


def test_the_marks_of_a_page():
    page = """<html><head><meta name="DC.rights" content="https://creativecommons.org/licenses/by/4.0/">
    <meta content='noai, noimageai' name=robots><meta name="tdm-reservation" content="1">
    <meta name="tdm-policy" content="https://x.org/p.json">
    <script type="application/ld+json">{"@graph": [{"@type": "Article", "license": {"@id":
      "https://creativecommons.org/licenses/by-nc/4.0/"}}, {"@type": "ImageObject", "license": "MIT"}]}</script></head>
    <body><a rel="license nofollow" href="https://creativecommons.org/licenses/by-sa/4.0/?a=1&amp;b=2">CC</a>
    <a href="https://creativecommons.org/publicdomain/zero/1.0/">elsewhere</a></body>"""
    assert marks.of_page(page) == {
        "licences": [
            ["CC-BY-4.0", "<meta name=dc.rights>"],
            ["CC-BY-SA-4.0", "<a rel=license>"],
            ["CC-BY-NC-4.0", "schema.org license"],
        ],
        "mentions": ["CC0-1.0"],
        "robots": ["noai, noimageai"],
        "tdm_reservation": "1",
        "tdm_policy": "https://x.org/p.json",
    }
    assert marks.of_page("<html><body>no marks, but the word license</body></html>") == {}


@given(st.text(st.sampled_from("<>\"'= /aметlicenserobots{}[]:\n"), max_size=300))
def test_no_markup_breaks_the_marks(text):
    marks.of_page("<meta name=robots " + text)
    marks.of_page(f'<script type="application/ld+json">{text}</script><a rel=license href=')


@pytest.mark.parametrize(
    "piece",
    [
        "<a ",
        '<meta name="robots" ',
        "<meta a=",
        "<script application/ld+json>",
        "<a href='",
        '<link x="" ',
        "<meta" + " a" * 50,
    ],
)
def test_the_time_for_hostile_pages_is_bounded(piece):
    begin = time.process_time()
    marks.of_page(piece * (2_000_000 // len(piece)))
    marks.of_page('<script type="application/ld+json">' + "[" * 100_000 + "</script>")
    assert time.process_time() - begin < 15


ROBOTS = """
User-agent: GPTBot
User-agent: CCBot
Disallow: /private/

User-agent: *
Allow: /
Content-Usage: train-ai=n
Content-Usage: /open/ train-ai=y
"""


def test_robots_by_agent_and_usage_by_the_longest_path():
    pytest.importorskip("protego")
    host = robots.Host(robots=ROBOTS)
    assert host.refuses("https://x.org/private/a", ("CCBot",)) == "CCBot"
    assert host.refuses("https://x.org/a", ("CCBot", "GPTBot")) is None
    assert host.usage("https://x.org/a", ("SomeBot",)) == "train-ai=n"
    assert host.usage("https://x.org/open/a", ("SomeBot",)) == "train-ai=y"
    assert robots.Host().refuses("https://x.org/", ("CCBot",)) is None
    assert robots.Host(robots="User-agent: a\nDisallow: /").usage("https://x.org/", ("a",)) is None


def test_tdmrep_by_the_longest_location():
    rules = [{"location": "/", "tdm-reservation": 1}, {"location": "/free/*", "tdm-reservation": 0}]
    host = robots.Host(tdmrep=json.dumps(rules))
    assert host.reservation("https://x.org/a") is True
    assert host.reservation("https://x.org/free/a") is False
    assert robots.Host(tdmrep="not json").reservation("https://x.org/") is None
    assert robots.Host(tdmrep='[3, {"location": null}]').reservation("https://x.org/") is None


def test_files_of_hosts_are_read_from_lines_and_from_warc(tmp_path):
    pytest.importorskip("fastwarc")
    (tmp_path / "a.jsonl").write_text(json.dumps({"host": "X.org", "robots": ROBOTS, "tdmrep": [{"location": "/"}]}))
    body = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nUser-agent: *\nDisallow: /\n"
    record = b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: https://y.org/robots.txt\r\n"
    record += b"WARC-Record-ID: <urn:uuid:0>\r\nContent-Type: application/http; msgtype=response\r\n"
    record += b"Content-Length: %d\r\n\r\n%b\r\n\r\n" % (len(body), body)
    (tmp_path / "b.warc.gz").write_bytes(gzip.compress(record + record.replace(b"/robots.txt", b"/page")))
    hosts = robots.read([str(tmp_path)], "here")
    assert hosts["x.org"].robots == ROBOTS and json.loads(hosts["x.org"].tdmrep) == [{"location": "/"}]
    assert hosts["y.org"].robots.startswith("User-agent: *")


@pytest.mark.parametrize("line", ['{"host": 3}', "{", "[1]", '{"host": "\\ud800"', "[" * 100_000])
def test_files_of_hosts_that_cannot_be_read_are_named(tmp_path, line):
    (tmp_path / "a.jsonl").write_text(line)
    with pytest.raises(DataError, match="cannot be read") as caught:
        robots.read([str(tmp_path)], "signal 'optout'")
    assert "a.jsonl" in caught.value.where and caught.value.fix
