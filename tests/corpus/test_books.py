"""Books: chapters and pages with their text, rights and gaps, and no way to fill the memory."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from test_sources import everything

from seedstock.corpus.documents import Reader
from seedstock.corpus.rights.stated import stated
from seedstock.corpus.sources import epub
from seedstock.corpus.sources.epub import Epub
from seedstock.corpus.sources.plain_text import convert

CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
    '<rootfiles><rootfile full-path="OPS/a.opf"/></rootfiles></container>'
)
OPF = """<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>
<dc:title>On Seeds</dc:title><dc:creator>A. Gardener</dc:creator><dc:creator>B. Gardener</dc:creator>
<dc:language>en-GB</dc:language><dc:rights>{rights}</dc:rights></metadata><manifest>
<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="two" href="text/two%20.xhtml" media-type="application/xhtml+xml"/>
<item id="one" href="text/one.xhtml" media-type="application/xhtml+xml"/>
<item id="gone" href="../../gone.xhtml" media-type="application/xhtml+xml"/>
<item id="img" href="a.png" media-type="image/png"/></manifest>
<spine><itemref idref="nav"/><itemref idref="one"/><itemref idref="two"/><itemref idref="gone"/></spine></package>"""
ONE = """<?xml version="1.0" encoding="iso-8859-1"?><html><head><title>x</title><script/></head><body>
<h1>Chapter <i>One</i></h1>
<p>Caf\xe9 &amp; seeds,
sown.</p><script>no()</script><pre>  a
   b</pre><ul><li>x</li><li>y</li></ul></body></html>""".encode("latin-1")


def book(
    path: Path, rights: str = "CC0 1.0: https://creativecommons.org/publicdomain/zero/1.0/", **members: bytes | str
) -> Path:
    files = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": CONTAINER,
        "OPS/a.opf": OPF.format(rights=rights),
    }
    files |= {"OPS/nav.xhtml": "<p>no</p>", "OPS/text/one.xhtml": ONE, "OPS/text/two .xhtml": "<p>Two</p>"} | members
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def test_chapters_come_in_reading_order_with_the_rights_of_the_book(tmp_path):
    book(tmp_path / "a.epub")
    items, bad = everything(Epub(name="b", path=str(tmp_path)))
    assert [(item.locator, item.text) for item in items] == [
        ("a.epub#OPS/text/one.xhtml", "Chapter One\n\nCafé & seeds, sown.\n\n  a\n   b\n\nx\ny"),
        ("a.epub#OPS/text/two .xhtml", "Two"),
    ]
    first = items[0]
    assert (first.title, first.language, first.licence) == ("On Seeds", "en", "CC0-1.0")
    assert first.licence_evidence.startswith("dc:rights: CC0")
    assert (first.meta["author"], first.meta["chapter"], first.meta["number"]) == (
        "A. Gardener; B. Gardener",
        "Chapter One",
        1,
    )
    assert [(one.locator, one.reason) for one in bad] == [("a.epub#../gone.xhtml", "the book has no such file")]


@pytest.mark.parametrize(
    ("rights", "licence"),
    [
        ("© 2020 A. All rights reserved.", ""),
        ("Public domain in the USA.", "LicenseRef-Public-Domain"),
        ("This is not in the public domain.", None),
        ("http://creativecommons.org/licenses/by-nc-sa/3.0/", "CC-BY-NC-SA-3.0"),
        ("creativecommons.org/licenses/by/4.0/ and creativecommons.org/licenses/by-sa/4.0/", None),
        ("https://creativecommons.org/licenses/by/3.0/us/", "CC-BY-3.0-US"),
        ("CC-BY-4.0", "CC-BY-4.0"),
        ("ask the author", None),
    ],
)
def test_a_statement_of_rights_becomes_a_licence_or_stays_open(rights, licence):
    assert stated(rights, "dc:rights")[0] == licence


def test_a_reserved_book_does_not_get_the_licence_of_its_shelf(tmp_path):
    book(tmp_path / "a.epub", "All rights reserved")
    source = Epub(name="b", path=str(tmp_path), licence="CC0-1.0")
    items, bad = everything(source)
    (rows,) = Reader(source, b"k").rows([*items, *bad], 10**6)
    assert set(rows.columns["licence"]) == {None}


def test_books_that_are_bombs_locked_or_broken_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(epub, "CHAPTER", 10_000)
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><package>&b;</package>'
    locked = '<encryption><CipherReference URI="OPS/text/one.xhtml"/></encryption>'
    book(tmp_path / "bomb.epub", **{"OPS/a.opf": bomb})
    book(tmp_path / "locked.epub", **{"META-INF/encryption.xml": locked})
    book(tmp_path / "long.epub", **{"OPS/text/one.xhtml": "<p>" + "a" * 20_000})
    book(tmp_path / "wrong.epub", **{"OPS/text/one.xhtml": b"<p>\xff</p>"})
    book(tmp_path / "deep.epub", **{"OPS/text/one.xhtml": "<i>" * 3000 + "deep"})
    data = (tmp_path / "deep.epub").read_bytes()
    (tmp_path / "cut.epub").write_bytes(data[: len(data) // 2])
    (tmp_path / "empty.epub").write_bytes(b"")
    items, bad = everything(Epub(name="b", path=str(tmp_path)))
    reasons = {one.locator: one.reason for one in bad if "no such file" not in one.reason}
    assert set(reasons) == {
        *("bomb.epub", "cut.epub", "empty.epub"),
        *(f"{name}.epub#OPS/text/one.xhtml" for name in ("locked", "long", "wrong")),
    }
    assert "defines entities" in reasons["bomb.epub"] and str(tmp_path) not in repr(bad)
    assert [item.text for item in items if item.locator.startswith("deep")] == ["deep", "Two"]


def test_tables_and_skipped_parts_of_a_page():
    html = "<table><tr><td>a</td><td>b</td></tr></table><style>x</style><p>c<br/>d</p><svg><text>no</text></svg>e"
    assert convert(html)[0] == "a\tb\n\nc\nd\n\ne"


def pdf(*pages: str | None, extra: bytes = b"") -> bytes:
    """A PDF with a line of text on each page, or nothing on those that are None."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for text in pages:
        content = b"" if text is None else b"BT /F1 12 Tf 72 700 Td (" + text.encode() + b") Tj ET"
        kids.append(len(objects) + 1)
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> >>" % (len(objects) + 2)
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
    objects[1] = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (len(kids), b" ".join(b"%d 0 R" % kid for kid in kids))
    objects.append(b"<< /Title (On Seeds) /Author (A. Gardener) >>")
    data, places = b"%PDF-1.7\n" + extra, []
    for number, body in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + b"".join(
        b"%010d 00000 n \n" % at for at in places
    )
    tail = b"trailer\n<< /Size %d /Root 1 0 R /Info %d 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        len(objects) + 1,
        len(objects),
        len(data),
    )
    return data + table + tail


def test_a_pdf_gives_its_text_layer_and_names_the_pages_without_one(tmp_path):
    pytest.importorskip("pypdfium2")
    from seedstock.corpus.sources.pdf import Pdf

    xmp = b'<x:xmpmeta><cc:license rdf:resource="https://creativecommons.org/licenses/by/4.0/"/></x:xmpmeta>\n'
    (tmp_path / "a.pdf").write_bytes(pdf("First page", None, "Third page", extra=b"%" + xmp))
    (tmp_path / "b.pdf").write_bytes(pdf(None, None))
    (tmp_path / "broken.pdf").write_bytes(pdf("x")[:100])
    (tmp_path / "empty.pdf").write_bytes(b"")
    (tmp_path / "no.pdf").write_bytes(b"<html>")
    items, bad = everything(Pdf(name="p", path=str(tmp_path)))
    first, scanned = items
    assert first.text == "First page\n\n\n\nThird page" and (first.title, first.licence) == ("On Seeds", "CC-BY-4.0")
    assert first.meta["pages"] == 3 and first.meta["scanned"] == [2] and first.meta["author"] == "A. Gardener"
    starts = first.meta["offsets"]
    assert first.text.encode()[starts[2] :] == b"Third page" and starts[1] == 12
    assert scanned.text == "" and scanned.meta["scanned"] == [1, 2]
    assert [one.locator for one in bad] == ["broken.pdf", "empty.pdf", "no.pdf"] and str(tmp_path) not in repr(bad)
    _, bad = everything(Pdf(name="p", path=str(tmp_path / "a.pdf"), most_pages=2))
    assert [one.reason for one in bad] == ["it has 3 pages, more than 2"]
    _, bad = everything(Pdf(name="p", path=str(tmp_path / "a.pdf"), longest="100 B"))
    assert [one.reason for one in bad] == ["longer than 100 bytes"]
