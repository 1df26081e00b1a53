"""Cuts of large files: each record is read once, under one name, whatever the cuts, the compression and the store."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import struct
import tracemalloc
import zlib
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from local_server import serve
from test_sources import everything

from seedstock.corpus.sources import base, csv_tables, jsonl, ranges, streams, text
from seedstock.corpus.sources.base import Unreadable
from seedstock.corpus.sources.csv_tables import Csv
from seedstock.corpus.sources.files import find
from seedstock.corpus.sources.jsonl import JsonLines
from seedstock.corpus.sources.parquet import Parquet
from seedstock.corpus.sources.text import Text
from seedstock.errors import DataError

LINES = st.lists(st.binary(max_size=30), max_size=40)
SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


def bgzf(data: bytes, size: int) -> bytes:
    """A gzip file of blocks that state their size, with the empty block at its end."""
    blocks = []
    for start in [*range(0, len(data), size), len(data)]:
        chunk = data[start : start + size]
        packer = zlib.compressobj(wbits=-15)
        body = packer.compress(chunk) + packer.flush()
        head = b"\x1f\x8b\x08\x04" + bytes(6) + struct.pack("<HccHH", 6, b"B", b"C", 2, len(body) + 25)
        blocks.append(head + body + struct.pack("<II", zlib.crc32(chunk), len(chunk)))
    return b"".join(blocks)


def frames(data: bytes, size: int) -> bytes:
    """A .zst file of frames, with a skippable one between each two."""
    parts = [data[start : start + size] for start in range(0, max(1, len(data)), size)]
    return (struct.pack("<II", 0x184D2A5E, 3) + b"abc").join(zstandard.compress(part) for part in parts)


def seekable(data: bytes, size: int) -> bytes:
    """A .zst file in the seekable format, whose frames need not state their size."""
    packer = zstandard.ZstdCompressor(write_content_size=False)
    parts = [data[start : start + size] for start in range(0, max(1, len(data)), size)]
    packed = [packer.compress(part) for part in parts]
    table = b"".join(struct.pack("<II", len(one), len(part)) for one, part in zip(packed, parts, strict=True))
    table += struct.pack("<IBI", len(parts), 0, 0x8F92EAB1)
    return b"".join(packed) + struct.pack("<II", 0x184D2A5E, len(table)) + table


STORED = {"": lambda data, size: data, ".gz": bgzf, ".zst": frames, "-seekable.zst": seekable}


def read(pieces, separator=b"\n"):
    return [record for part in pieces for record in ranges.records(part.payload, separator)]


@SLOW
@given(lines=LINES, size=st.integers(1, 200), member=st.integers(1, 100), kind=st.sampled_from(sorted(STORED)))
def test_each_record_is_read_once_whatever_the_cuts(tmp_path, lines, size, member, kind):
    data = b"\n".join(lines)
    path = tmp_path / f"a.txt{kind}"
    path.write_bytes(STORED[kind](data, member))
    (file,) = find(str(path), (), "test")
    parts = ranges.cut(file, size)
    expected, at = [], 0
    for line in data.split(b"\n"):
        expected.append((at, line))
        at += len(line) + 1
    if not expected[-1][1]:
        expected.pop()  # nothing follows the last line's end
    assert read(parts) == expected == read([ranges.whole(file)])
    assert len({part.name for part in parts}) == len(parts)
    assert sum(part.bytes for part in parts) == file.bytes


@pytest.mark.parametrize("kind", STORED)
def test_a_large_file_comes_in_many_pieces(tmp_path, kind):
    path = tmp_path / f"a.txt{kind}"
    path.write_bytes(STORED[kind](b"".join(b"%x\n" % (n * 7919**3) for n in range(20_000)), 3000))
    (file,) = find(str(path), (), "test")
    parts = ranges.cut(file, file.bytes // 10)
    assert 8 <= len(parts) <= 11
    assert all(one.payload.end == two.payload.start for one, two in pairwise(parts))


@SLOW
@given(data=st.lists(st.sampled_from([b"a", b"--", b"-", b"\n", b"x" * 50]), max_size=40).map(b"".join))
def test_a_separator_of_several_bytes_cuts_as_split_does(tmp_path, data):
    (tmp_path / "a.txt").write_bytes(data)
    (file,) = find(str(tmp_path / "a.txt"), (), "test")
    found = [record for _, record in read([ranges.whole(file)], b"--\n")]
    assert found == (data.split(b"--\n") if data.split(b"--\n")[-1] else data.split(b"--\n")[:-1])


@SLOW
@given(sizes=st.lists(st.integers(0, 300), max_size=12), size=st.integers(1, 500), longest=st.integers(1, 200))
def test_a_record_that_is_too_long_is_named_once_and_the_rest_goes_on(tmp_path, sizes, size, longest):
    (tmp_path / "a.txt").write_bytes(b"".join(b"x" * count + b"\n" for count in sizes))
    (file,) = find(str(tmp_path / "a.txt"), (), "test")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranges, "LONGEST", longest)
        patch.setattr(ranges, "BUFFER", 64)
        found = [record for _, record in read(ranges.cut(file, size))]
    assert found == [b"x" * count if count <= longest else None for count in sizes]


def test_a_line_of_a_gigabyte_is_never_held(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    with path.open("wb") as file:
        file.write(b'{"text": "before"}\n')
        file.truncate(10**9)  # a hole: zeros that take no room
        file.seek(0, io.SEEK_END)
        file.write(b'\n{"text": "after"}\n')
    monkeypatch.setattr(ranges, "LONGEST", 4 * 2**20)
    monkeypatch.setattr(ranges, "SIZE", 100 * 2**20)
    monkeypatch.setattr("seedstock.corpus.sources.files.HASHED", 0)
    parts = JsonLines(name="j", path=str(path)).partitions()
    assert len(parts) == 10
    tracemalloc.start()
    items, bad = everything(JsonLines(name="j", path=str(path)))
    assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    tracemalloc.stop()
    assert [item.text for item in items] == ["before", "after"]
    assert [(one.locator, "longer than" in one.reason) for one in bad] == [("a.jsonl@19", True)]


PACKERS = {
    ".gz": gzip.compress,
    ".zst": zstandard.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".lz4": lambda data: pa.Codec("lz4").compress(data, asbytes=True),
}


@pytest.mark.parametrize("suffix", PACKERS)
def test_every_compression_is_read_and_its_damage_is_named(tmp_path, suffix):
    data = b"".join(b'{"text": "line %x"}\n' % (n * 7919**5) for n in range(40_000))
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(PACKERS[suffix](data[: len(data) // 2]) + PACKERS[suffix](data[len(data) // 2 :]))
    items, bad = everything(JsonLines(name="j", path=str(path)))
    assert (len(items), bad) == (40_000, [])
    packed = path.read_bytes()
    for damaged in (packed[: len(packed) - 1000], packed[:1000] + b"\x00" * 500 + packed[1500:]):
        path.write_bytes(damaged)
        items, bad = everything(JsonLines(name="j", path=str(path)))
        assert len(items) < 40_000 and str(tmp_path) not in bad[-1].reason
        # Without a checksum damage within is told by the lines; a cut is told by every kind.
        assert "breaks off" in bad[-1].reason or (suffix == ".zst" and len(damaged) == len(packed))


@pytest.mark.parametrize("suffix", [".gz", ".zst", ".bz2", ".xz"])
def test_a_bomb_is_stopped(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(streams, "FREE", 2**20)
    (tmp_path / f"a.txt{suffix}").write_bytes(PACKERS[suffix](bytes(50 * 2**20)))
    for source in (Text(name="t", path=str(tmp_path)), Text(name="t", path=str(tmp_path), separator="\n")):
        items, bad = everything(source)
        assert items == [] and "grows more than 500 times" in bad[-1].reason


def test_a_file_that_changes_while_it_is_read_is_named(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one"}\n{"text": "two"}\n')
    for source in (JsonLines(name="j", path=str(path)), Text(name="j", path=str(path))):
        (part,) = source.partitions()
        path.write_text(path.read_text() + '{"text": "three"}\n')
        bad = [found for found in source.read(part) if isinstance(found, Unreadable)]
        assert [(one.locator, "changed while" in one.reason) for one in bad] == [("a.jsonl", True)]


def test_links_to_nowhere_are_named_and_pipes_left_alone(tmp_path):
    (tmp_path / "a.jsonl").symlink_to(tmp_path / "gone.jsonl")
    (tmp_path / "b.jsonl").write_text('{"text": "here"}\n')
    (tmp_path / "c.jsonl").symlink_to(tmp_path / "c.jsonl")
    os.mkfifo(tmp_path / "d.jsonl")
    items, bad = everything(JsonLines(name="j", path=str(tmp_path)))
    assert [item.text for item in items] == ["here"]
    assert [one.locator for one in bad] == ["a.jsonl@0", "c.jsonl@0"]
    with pytest.raises(DataError, match="there is no file"):
        JsonLines(name="j", path=str(tmp_path / "d.jsonl")).partitions()


def test_a_file_that_is_gone_is_named(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "one"}\n')
    source = JsonLines(name="j", path=str(tmp_path))
    (part,) = source.partitions()
    (tmp_path / "a.jsonl").unlink()
    (bad,) = source.read(part)
    assert bad.locator == "a.jsonl@0" and "No such file" in bad.reason and str(tmp_path) not in bad.reason


@pytest.mark.parametrize("cutting", [10**9, 50])
def test_jsonl_and_its_locators_do_not_depend_on_the_cuts(tmp_path, monkeypatch, cutting):
    rows = [{"text": f"text {n}", **({"id": n % 7} if n % 2 else {})} for n in range(50)]
    lines = [json.dumps(row) + "\n" for row in rows]
    (tmp_path / "a.jsonl").write_text("".join(lines))
    monkeypatch.setattr(ranges, "SIZE", cutting)
    items, bad = everything(JsonLines(name="j", path=str(tmp_path)))
    at = [sum(map(len, lines[:n])) for n in range(50)]
    assert not bad and [(item.text, item.locator, item.meta) for item in items] == [
        (f"text {n}", f"a.jsonl#{n % 7}", {"at": at[n]}) if n % 2 else (f"text {n}", f"a.jsonl@{at[n]}", {})
        for n in range(50)
    ]


ROWS = [["text", "id", "label"], ["plain", "1", "a"], ['with, "quotes"', "2", "b"], ["of\ntwo lines", "3", "c"]]


def test_csv_follows_quotes_over_lines_and_names_what_is_broken(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(
        '\ufefftext,id,label\r\nplain,1,a\r\n"with, ""quotes""",2,b\n"of\ntwo lines",3,c\n'
        'short,4\n\n"mis"fit,5,e\nlast,6,f'
    )
    items, bad = everything(Csv(name="c", path=str(path)))
    assert [(item.text, item.locator, item.meta["label"]) for item in items] == [
        *((row[0], f"a.csv#{row[1]}", row[2]) for row in ROWS[1:]),
        ("last", "a.csv#6", "f"),
    ]
    data = path.read_bytes()
    assert [one.locator for one in bad] == [f"a.csv@{data.index(text)}" for text in (b"short", b'"mis"')]
    assert "2 values for 3 columns" in bad[0].reason and "not a record" in bad[1].reason


def test_csv_lines_may_be_cut_where_no_value_holds_a_line_end(tmp_path, monkeypatch):
    (tmp_path / "a.tsv").write_text("body\tid\n" + "".join(f"text, {n}\t{n}\n" for n in range(100)) + '"open\t1\n')
    found = []
    for size in (10**9, 100):
        monkeypatch.setattr(ranges, "SIZE", size)
        source = Csv(name="c", path=str(tmp_path), multiline=False, fields={"text": "body"})
        found.append(everything(source))
        assert len(source.partitions()) == (1 if size > 10**6 else 12)
    assert found[0] == found[1]
    items, (bad,) = found[0]
    assert [item.text for item in items] == [f"text, {n}" for n in range(100)]
    assert "quote" in bad.reason or "not a record" in bad.reason


def test_csv_bad_input_is_one_message(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("body,id\nx,1\n")
    assert [one.reason for one in everything(Csv(name="c", path=str(tmp_path)))[1]] == [
        "there is no column 'text'; there are body, id"
    ]
    with pytest.raises(ValueError, match="columns has no 'text'"):
        Csv(name="c", path="a.csv", columns=("a", "b"))
    with pytest.raises(ValueError, match="convert them to UTF-8"):
        Csv(name="c", path="a.csv", encoding="utf-16")
    (tmp_path / "a.csv").write_bytes(b"")
    assert "no first line" in everything(Csv(name="c", path=str(tmp_path)))[1][0].reason
    for module in (ranges, csv_tables):
        monkeypatch.setattr(module, "LONGEST", 100)
    (tmp_path / "a.csv").write_bytes(b'text\n\xff\n"' + b"x\n" * 200 + b'"\nlast\n')
    items, bad = everything(Csv(name="c", path=str(tmp_path)))
    assert bad and items[-1].text == "last"
    assert [one.locator for one in bad] == ["a.csv@5", "a.csv@7"] and len(items) == 1
    csv.field_size_limit(base.LONGEST)  # it holds for the whole process


def test_csv_of_the_data_pack(data_pack):
    path = f"{data_pack}/labelled/banking77-train.csv.zst"
    items, bad = everything(Csv(name="c", path=path))
    assert len(items) > 9000 and bad == [] and items[0].meta["category"] == "card_arrival"
    path = f"{data_pack}/labelled/hate-speech-labeled_data.csv.zst"
    items, bad = everything(Csv(name="c", path=path, fields={"text": "tweet", "id": ""}))
    assert (len(items), bad) == (24_783, [])


def test_markdown_and_rst_say_what_they_are(tmp_path):
    (tmp_path / "a.de.md").write_text("Titel\n=====\n\nText\n")
    (tmp_path / "b.md").write_text(
        '---\ntitle: "On seeds"\nlang: fr\nlicense: cc-by-4.0\ntags: [a]\n---\n# Other\n\nText é\n'
    )
    (tmp_path / "c.md").write_text("```\n# no heading\n```\n\n## Second\n\n# First #\n")
    (tmp_path / "d.rst").write_text("PEP: 8\nTitle: Style Guide\nAuthor: A,\n    B\n\nIntroduction\n============\n")
    (tmp_path / "e.rst").write_text("=====\nTitle\n=====\n\n:no: field\n")
    (tmp_path / "f.md").write_text("---\nnot closed\n")
    found = {item.locator: item for item in everything(Text(name="t", path=str(tmp_path)))[0]}
    assert {name: (item.title, item.language, item.licence) for name, item in found.items()} == {
        "a.de.md": ("Titel", "de", None),
        "b.md": ("On seeds", "fr", "CC-BY-4.0"),
        "c.md": ("First", None, None),
        "d.rst": ("Style Guide", None, None),
        "e.rst": ("Title", None, None),
        "f.md": (None, None, None),
    }
    b = found["b.md"]
    raw = (tmp_path / "b.md").read_bytes()
    assert b.text.encode() == raw[b.meta["skipped"] :] and b.text.startswith("# Other")
    assert b.meta["head"]["tags"] == "[a]"
    plain = Text(name="t", path=str(tmp_path), front_matter=False)
    assert all(item.title is None and item.raw for item in everything(plain)[0])


def test_a_store_of_fsspec_is_read_like_a_folder(tmp_path, monkeypatch):
    fsspec = pytest.importorskip("fsspec")
    import pyarrow.parquet as pq

    store = fsspec.filesystem("memory")
    data = b"".join(b'{"text": "line %d", "id": %d}\n' % (n, n) for n in range(100))
    table = io.BytesIO()
    pq.write_table(pa.table({"text": ["one", "two"]}), table, row_group_size=1)
    held = {
        "a.jsonl": data,
        "b/c.jsonl.zst": frames(data, 500),
        "b/d.parquet": table.getvalue(),
        "b/.hidden.jsonl": b"x",
    }
    for name, content in held.items():
        store.pipe(f"/shelf/{name}", content)
    monkeypatch.setattr(ranges, "SIZE", 300)
    items, bad = everything(JsonLines(name="j", path="memory://shelf"))
    assert not bad and [item.locator for item in items] == [
        *(f"a.jsonl#{n}" for n in range(100)),
        *(f"b/c.jsonl.zst#{n}" for n in range(100)),
    ]
    monkeypatch.setenv("SHELF", "memory://shelf")
    assert len(everything(JsonLines(name="j", path="${SHELF}/*.jsonl"))[0]) == 100
    assert len(everything(JsonLines(name="j", path="memory://shelf/b/c.jsonl.zst"))[0]) == 100
    rows, _ = everything(Parquet(name="p", path="memory://shelf"))
    assert [(row.text, row.locator) for row in rows] == [("one", "b/d.parquet:0"), ("two", "b/d.parquet:1")]
    for path in ("memory://nowhere/a.jsonl", "memory://shelf/*.csv"):
        with pytest.raises(DataError, match="no such file"):
            JsonLines(name="j", path=path).partitions()
    with pytest.raises(DataError, match="no file that ends in"):
        Csv(name="c", path="memory://shelf").partitions()
    before = JsonLines(name="j", path="memory://shelf").fingerprint()
    source = JsonLines(name="j", path="memory://shelf/a.jsonl")
    parts = source.partitions()
    store.pipe("/shelf/a.jsonl", data + b"{}\n")
    assert JsonLines(name="j", path="memory://shelf").fingerprint() != before
    assert any("changed while" in one.reason for one in source.read(parts[0]) if isinstance(one, Unreadable))
    store.rm("/shelf", recursive=True)
    assert all(isinstance(one, Unreadable) for one in source.read(parts[0]))


def test_a_web_server_without_ranges_loses_no_record(tmp_path):
    pytest.importorskip("aiohttp", reason="aiohttp is not installed (seedstock[cloud])")
    draw = np.random.default_rng(1)
    lines = [json.dumps({"text": draw.bytes(2000).hex()}).encode() for _ in range(3000)]  # more than fsspec's block
    data = frames(b"\n".join(lines) + b"\n", 2**20)
    with serve(lambda *request: (200, {}, data)) as server:
        items, bad = everything(JsonLines(name="j", path=f"{server.url}/a.jsonl.zst"))
    assert not bad and len(items) == 3000


def test_a_store_that_is_not_there_is_one_message_without_secrets(monkeypatch):
    with pytest.raises(DataError) as caught:
        JsonLines(name="j", path="nowhere://user:secret@host/a.jsonl?signature=secret").partitions()
    assert "secret" not in str(caught.value) and "source 'j'" in str(caught.value)


def test_constants_agree():
    assert base.LONGEST == ranges.LONGEST == text.LONGEST == jsonl.LONGEST
