"""Pages in a tar archive: each is a document, plain or in gzip, and what is damaged is named."""

from __future__ import annotations

import gzip
import io
import tarfile

from seedstock.corpus.sources.base import Item, Unreadable
from seedstock.corpus.sources.html_files import Html


def test_members_are_documents_and_damaged_ones_are_named(tmp_path):
    pages = {
        "a.html": b"<p>plain</p>",
        "b.html.gz": gzip.compress(b"<p>packed</p>"),
        "c.xhtml": b"<p/>",
        "d.html.gz": gzip.compress(b"<p>cut off</p>")[:-9],
        "e.html.gz": b"no gzip at all",
        "notes.txt": b"left out",
    }
    with tarfile.open(tmp_path / "pages.tar", "w") as archive:
        for name, data in pages.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    source = Html(name="pages", path=str(tmp_path))
    (partition,) = source.partitions()
    found = list(source.read(partition))
    items = {one.locator: (one.raw, one.media_type) for one in found if isinstance(one, Item)}
    assert items == {
        "pages.tar/a.html": (b"<p>plain</p>", "text/html"),
        "pages.tar/b.html.gz": (b"<p>packed</p>", "text/html"),
        "pages.tar/c.xhtml": (b"<p/>", "application/xhtml+xml"),
    }
    assert {one.locator: one.reason.split(":")[0] for one in found if isinstance(one, Unreadable)} == {
        "pages.tar/d.html.gz": "damaged gzip",
        "pages.tar/e.html.gz": "damaged gzip",
    }


def test_the_benchmarks_pages_are_read(data_pack):
    source = Html(name="pages", path=str(data_pack / "web/article-extraction-benchmark.tar"))
    items = [one for partition in source.partitions() for one in source.read(partition)]
    assert len(items) == 181 and all(isinstance(one, Item) and one.raw for one in items)
