"""Span maps: from any place of a text back to the raw bytes that it came from."""

from __future__ import annotations

import html
import re
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import PROSE, labelled, page

from seedstock.corpus import build, edits
from seedstock.corpus.config import CorpusConfig
from seedstock.corpus.extract.config import ExtractConfig
from seedstock.corpus.extract.page import extract
from seedstock.corpus.extract.spans import SpanMap
from seedstock.corpus.reader import Corpus
from seedstock.corpus.sources.base import Item, Partition, Source
from seedstock.ledger.store import Store
from seedstock.progress import Silent

EMAIL = "marta@harbour-post.no"


class Given(Source):
    """Documents of a test, as a source."""

    kind: Literal["given"] = "given"
    pages: dict[str, str]
    encoding: str = "utf-8"
    media_type: str | None = "text/html"

    def partitions(self):
        return [Partition("all", self.encoding, 1000)]

    def read(self, partition):
        for name, text in self.pages.items():
            yield Item(name, raw=text.encode(self.encoding), encoding=self.encoding, media_type=self.media_type)


def built(tmp_path, source, key, workers=0, **policy) -> Corpus:
    rules = {"signals": [], "rules": [], "redact": {}, **policy}
    config = CorpusConfig(policy=rules, dedup=None, held_out=0.2, extract={"kind": "lines"})
    return Corpus(
        build.build([source], config, seed=1, key=key, store=Store(tmp_path / "s"), reporter=Silent(), workers=workers)
    )


words = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=6)
ENTITIES = ["&amp;", "&lt;", "&eacute;", "&#233;", "&nbsp;", "&copy", " & ", "  \n "]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(words, st.sampled_from([*ENTITIES, "<b>", "</b>", "<br>", " ", "<p>"])), max_size=30))
def test_every_stretch_reads_the_same_on_both_sides(parts):
    raw = ("<body><p>" + "".join(parts) + "</p>").encode()
    found = extract(raw, ExtractConfig(kind="all-text", repair=False))
    text = found.text.encode()
    for start, end, low, high in found.map.stretches.tolist():
        assert _plain(raw[low:high].decode()) == _plain(text[start:end].decode())
    assert SpanMap.read(found.map.record()).stretches.tolist() == found.map.stretches.tolist()


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16", "shift_jis", "gb18030"])
def test_places_are_found_in_any_encoding(encoding):
    letters = "ø og å" if encoding in ("latin-1", "utf-8", "utf-16", "gb18030") else "港は静か"
    raw = (
        page([PROSE[0] + letters, *PROSE[1:]])
        .replace('<meta charset="utf-8">', "")
        .encode(encoding, "xmlcharrefreplace")
    )
    found = extract(raw, ExtractConfig(kind="lines"), charset=encoding)
    for wanted in ("quay asked", "Old Marta", letters):
        start = found.text.encode().index(wanted.encode())
        ((low, high),) = found.map.resolve(start, start + len(wanted.encode()))
        assert wanted in html.unescape(raw[low:high].decode("utf-16-le" if encoding == "utf-16" else encoding))
        assert wanted == letters or high - low <= (2 * len(wanted) + 32 if encoding == "utf-16" else len(wanted))


edit_lists = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 5), st.sampled_from(["", "X", "[redacted]"])), max_size=5
)


@given(edit_lists, st.integers(0, 60), st.integers(0, 20))
def test_places_in_an_edited_text_lead_back_over_the_edits(listed, start, size):
    text = "".join(chr(0x100 + at) for at in range(50))
    made, at = [], 0
    for first, length, new in sorted(listed):
        if first >= at:
            made.append((2 * first, 2 * (first + length), new))
            at = first + length + 1
    edited = edits.apply(text, made)
    first, last = min(start, len(edited)), min(start + size, len(edited))
    found = edits.unedited(len(edited[:first].encode()), len(edited[:last].encode()), made)
    back = "".join(text.encode()[low:high].decode() for low, high in found)
    plain = [char for char in edited[first:last] if ord(char) >= 0x100]
    assert [char for char in back if char in plain] == plain


def test_a_corpus_answers_with_raw_bytes_over_extraction_and_redaction(tmp_path, project_key):
    prose = [
        *PROSE,
        f"Write to {EMAIL} or to the harbour office, she said, and wait for &ldquo;an answer&rdquo; until May.",
    ]
    pages = {
        f"p{at}": page([*prose, f"Number {at} of the series was printed on a wet day in the spring of that year."])
        for at in range(6)
    }
    source = Given(name="pages", pages=pages)
    corpus = built(tmp_path, source, project_key, signals=[{"kind": "emails"}], redact={"emails": "<email>"})
    seen = 0
    for batch in (*corpus.texts("train"), *corpus.texts("held_out")):
        for row in batch.to_pylist():
            raw, text = pages[row["locator"]].encode(), row["text"].encode()
            assert EMAIL.encode() not in text
            for wanted in (b"Old Marta counted", b"until May"):
                at = text.index(wanted)
                assert [raw[low:high] for low, high in corpus.resolve(row["id"], at, at + len(wanted))] == [wanted]
            at = text.index(b"Write to ") + 9
            ((low, high),) = corpus.resolve(row["id"], at, at + 3)
            assert raw[low:high] == EMAIL.encode()
            quoted = text.index("“an answer”".encode())
            ((low, high),) = corpus.resolve(row["id"], quoted, quoted + 15)
            assert html.unescape(raw[low:high].decode()) == "“an answer”"
            seen += 1
    assert seen == 6
    assert corpus.resolve(bytes(16), 0, 1) is None


def test_plain_text_in_another_encoding_has_a_map_and_in_utf8_has_none(tmp_path, project_key):
    texts = {f"t{at}": f"grød {at} på øen, og mere til" for at in range(5)}
    source = Given(name="plain", pages=texts, encoding="latin-1", media_type=None)
    corpus = built(tmp_path, source, project_key)
    (row, *_) = next(corpus.texts("train")).to_pylist()
    at = row["text"].encode().index("øen".encode())
    ((low, high),) = corpus.resolve(row["id"], at, at + 4)
    assert texts[row["locator"]].encode("latin-1")[low:high] == "øen".encode("latin-1")
    plain = built(tmp_path / "b", Given(name="plain", pages=texts, media_type=None), project_key)
    assert not (plain.folder / "maps").exists()
    (row, *_) = next(plain.texts("train")).to_pylist()
    assert plain.resolve(row["id"], 2, 9) == [(2, 9)]


def test_almost_all_of_the_labelled_pages_is_mapped_exactly(data_pack):
    pytest.importorskip("trafilatura")
    for kind in ("router", "quality", "fast"):
        exact = total = 0
        for raw, _ in labelled(data_pack, every=12).values():
            found = extract(raw, ExtractConfig(kind=kind))
            data = found.text.encode()
            exact, total = exact + found.map.exact(), total + len(data)
            for start, end, low, high in found.map.stretches.tolist():
                assert _plain(raw[low:high].decode()) == _plain(data[start:end].decode()), kind
        assert exact > 0.95 * total, kind


def _plain(text: str) -> str:
    """Text as far as extraction leaves it: entities decoded, markup and whitespace folded."""
    return " ".join(re.sub(r"<[^>]*>", "", html.unescape(text)).split())


def test_a_warc_gives_the_same_corpus_for_any_number_of_workers_and_places_in_its_records(
    tmp_path, data_pack, project_key
):
    warc = pytest.importorskip("fastwarc.warc")
    from seedstock.corpus.sources.warc import Warc

    path = data_pack / "web" / "resiliparse-warcfile.warc.gz"
    one, two = (built(tmp_path / str(n), Warc(name="web", path=str(path)), project_key, workers=n) for n in (0, 2))
    files = [p.relative_to(one.folder) for p in sorted(one.folder.rglob("*.parquet"))]
    assert all((one.folder / p).read_bytes() == (two.folder / p).read_bytes() for p in files)
    with path.open("rb") as file:
        answers = warc.ArchiveIterator(file, record_types=warc.WarcRecordType.response, auto_decode="all")
        bodies = {str(record.stream_pos): record.reader.read() for record in answers}
    seen = 0
    for split in ("train", "held_out"):
        for row in (row for batch in one.texts(split) for row in batch.to_pylist()):
            body = bodies[row["locator"].rpartition("@")[2]]
            for word in re.finditer(rb"[A-Za-z]{6,}", row["text"].encode()):
                ((low, high),) = one.resolve(row["id"], *word.span())
                assert body[low:high] == word[0]
                seen += 1
    assert seen > 100


def test_an_erased_document_has_no_map_and_no_places(tmp_path, project_key):
    from seedstock.provenance.erase import tables

    pages = {f"p{at}": page([*PROSE, f"This is the copy that was printed with the number {at}."]) for at in range(4)}
    corpus = built(tmp_path, Given(name="pages", pages=pages), project_key)
    first, second = next(corpus.texts("train"))["id"].to_pylist()[:2]
    tables.erase(corpus.folder, frozenset([first]), "asked for")
    left = Corpus(corpus.folder)
    records = {row["id"]: row for part in left.parts for row in left._table("maps", part).to_pylist()}
    assert records[first]["text"] is records[first]["raw"] is None and records[second]["text"]
    assert left.resolve(first, 0, 10) is None and left.resolve(second, 0, 10)
