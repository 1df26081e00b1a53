"""Sources: everything readable is read, everything else is named, and no path of this machine is told."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import sys
import sysconfig
from email.message import Message
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from seedstock.corpus.documents import Reader
from seedstock.corpus.sources.base import Item, Source, Unreadable, sample
from seedstock.corpus.sources.jsonl import JsonLines
from seedstock.corpus.sources.licences import declared
from seedstock.corpus.sources.parquet import Parquet
from seedstock.corpus.sources.python_packages import PythonPackages
from seedstock.corpus.sources.text import Text
from seedstock.errors import DataError


def everything(source: Source) -> tuple[list[Item], list[Unreadable]]:
    found = [item for part in source.partitions() for item in source.read(pickle.loads(pickle.dumps(part)))]
    return [item for item in found if isinstance(item, Item)], [item for item in found if isinstance(item, Unreadable)]


def test_text_reads_a_folder_by_names_below_it(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "b" / "code.py.gz").write_bytes(gzip.compress(b"x = 1\n"))
    (tmp_path / "b" / "c.md.zst").write_bytes(zstandard.compress("drei ä".encode()))
    (tmp_path / "b" / "picture.png").write_bytes(b"\x89PNG")
    (tmp_path / ".hidden.txt").write_text("no")
    items, bad = everything(Text(name="t", path=str(tmp_path)))
    assert [(item.locator, item.raw, item.domain, item.language) for item in items] == [
        ("a.txt", b"one", None, None),
        ("b/c.md.zst", "drei ä".encode(), None, None),
        ("b/code.py.gz", b"x = 1\n", "code", "python"),
    ]
    assert bad == []
    globbed, _ = everything(Text(name="t", path=f"{tmp_path}/*/c*"))
    assert [item.locator for item in globbed] == ["b/c.md.zst", "b/code.py.gz"]


def test_files_of_one_name_are_told_apart_by_the_folders_above_them(tmp_path):
    folders = [tmp_path / name / "data" for name in "abc"]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "x.txt").write_text(str(folder))
    for paths in (
        [*folders, folders[0]],
        [folder / "x.txt" for folder in folders],
        [f"{one}/*.txt" for one in folders],
    ):
        items, _ = everything(Text(name="t", path=[str(path) for path in paths]))
        assert {item.locator: item.raw for item in items} == {
            name: str(folder).encode()
            for name, folder in zip(("x.txt", "data/x.txt", "c/data/x.txt"), folders, strict=True)
        }


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems know no other names than UTF-8")
def test_names_that_are_not_utf8_are_recorded_and_read(tmp_path):
    folder = os.fsencode(tmp_path) + b"/\xfcber"
    Path(os.fsdecode(folder)).mkdir()
    pq.write_table(pa.table({"text": ["row"]}), tmp_path / "p")
    (tmp_path / "p").rename(os.fsdecode(folder + b"/\xff.parquet"))
    for name, data in (
        (b"\xff.txt", b"plain"),
        (b"\xff.txt.gz", gzip.compress(b"gz")),
        (b"\xff.jsonl", b'{"text": "line"}'),
    ):
        Path(os.fsdecode(folder + b"/" + name)).write_bytes(data)
    found = {}
    for source in (
        Text(name="t", path=str(tmp_path), limit=10**6),
        *(kind(name="t", path=str(tmp_path)) for kind in (JsonLines, Parquet)),
    ):
        items, bad = everything(source)
        assert not bad and source.fingerprint()
        found |= {item.locator.encode(): item.raw or item.text for item in items}
    assert found == {
        rb"\xfcber/\xff.txt": b"plain",
        rb"\xfcber/\xff.txt.gz": b"gz",
        rb"\xfcber/\xff.jsonl@0": "line",
        rb"\xfcber/\xff.parquet:0": "row",
    }


def test_names_that_cannot_be_told_apart_are_refused(tmp_path):
    place = tmp_path / "x.txt"
    below = [tmp_path / "other" / Path(*place.parts[first:]) for first in range(1, len(place.parts))]
    for path in (place, *below):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("one")
    with pytest.raises(DataError, match=r"two files go by the name x\.txt"):
        Text(name="t", path=[str(tmp_path / "other"), str(place)]).partitions()


def test_text_is_cut_at_its_separator(tmp_path):
    (tmp_path / "a.txt").write_text("one\n---\ntwo\n---\n\n")
    items, _ = everything(Text(name="t", path=str(tmp_path / "a.txt"), separator="\n---\n"))
    assert [(item.locator, item.raw) for item in items] == [("a.txt@0", b"one"), ("a.txt@8", b"two")]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("${SEEDSTOCK_NOWHERE}/x.txt", "SEEDSTOCK_NOWHERE is not set"),
        ("/nowhere/at/all.txt", "no such file"),
        ("{tmp}", "no file that ends in"),
        ("{tmp}/*.txt", "no such file"),
    ],
)
def test_a_path_that_holds_nothing_gives_one_message(tmp_path, path, said):
    for kind in (Text, JsonLines, Parquet):
        with pytest.raises(DataError) as caught:
            kind(name="t", path=path.replace("{tmp}", str(tmp_path))).partitions()
        assert said in str(caught.value) and "source 't'" in str(caught.value) and caught.value.fix


def test_an_environment_variable_is_expanded_only_when_read(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("one")
    source = Text(name="t", path="${SOMEWHERE}/a.txt")
    monkeypatch.setenv("SOMEWHERE", str(tmp_path))
    assert [item.locator for item in everything(source)[0]] == ["a.txt"]
    assert str(tmp_path) not in source.model_dump_json()


def test_an_encoding_that_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="'utf-9' is not an encoding"):
        Text(name="t", path="a.txt", encoding="utf-9")


def test_a_fingerprint_follows_the_content_and_nothing_else(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.txt").write_text("same")
    os.utime(tmp_path / "two" / "a.txt", (1, 1))
    one, two = (Text(name="t", path=str(tmp_path / folder)) for folder in ("one", "two"))
    assert one.fingerprint() == two.fingerprint()
    (tmp_path / "two" / "a.txt").write_text("sane")
    assert one.fingerprint() != two.fingerprint()


def test_jsonl_keeps_what_is_good_and_names_what_is_not(tmp_path):
    lines = [
        b'{"id": 1, "text": "good", "license": "MIT", "extra": {"a": [1]}}',
        b'{"id": 1, "text": "same id"}',
        b'{"text": "\xff"}',
        b"{not json}",
        b"",
        b"[1, 2]",
        b'{"id": "x", "body": "no text"}',
        b'{"text": 5}',
        b'{"text": "\\ud800 lone"}',
        b'{"text": "last", "licence": "CC0-1.0", "url": "", "language": "en", "title": "T"}',
    ]
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines))
    source = JsonLines(name="j", path=str(tmp_path / "a.jsonl"))
    items, bad = everything(source)
    at = [sum(len(line) + 1 for line in lines[:number]) for number in range(len(lines))]
    assert [item.locator for item in items] == ["a.jsonl#1", "a.jsonl#1", f"a.jsonl@{at[8]}", f"a.jsonl@{at[9]}"]
    assert (items[0].licence, items[0].meta) == ("MIT", {"extra": {"a": [1]}, "at": 0})
    assert items[1].meta == {"at": at[1]}
    assert (items[3].licence, items[3].url, items[3].language, items[3].title) == ("CC0-1.0", None, "en", "T")
    assert [line.locator for line in bad] == [f"a.jsonl@{at[number]}" for number in (2, 3, 5, 6, 7)]
    assert [line.reason.split(":")[0] for line in bad] == [
        "not UTF-8",
        "not JSON",
        "not a JSON object",
        "no text in the field 'text'",
        "no text in the field 'text'",
    ]
    (rows,) = Reader(source, b"k").rows([*items, *bad], 10**6)
    assert rows.columns["text"] == ["good", "same id", "last"]
    assert "surrogates not allowed" in rows.quarantine[0]["reason"]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_damaged_archive_gives_what_comes_before_the_damage(tmp_path, suffix):
    data = b"".join(b'{"id": %d, "text": "line %x"}\n' % (n, n * 7919**3) for n in range(50_000))
    packed = gzip.compress(data) if suffix == ".gz" else zstandard.compress(data)
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(packed[: len(packed) // 2])
    items, (bad,) = everything(JsonLines(name="j", path=str(path)))
    assert 1000 < len(items) < 50_000
    assert "breaks off" in bad.reason and bad.locator.startswith(path.name)
    path.write_bytes(b"this is no archive")
    items, (bad,) = everything(JsonLines(name="j", path=str(path)))
    assert items == [] and str(tmp_path) not in bad.reason


def test_parquet_row_groups_are_partitions_and_columns_have_names(tmp_path):
    table = pa.table({"body": [f"text {n}" for n in range(9)] + [None], "id": range(10), "stars": range(10)})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=4)
    (tmp_path / "b.parquet").write_bytes(b"PAR1 not really")
    source = Parquet(name="p", path=str(tmp_path), fields={"text": "body"})
    assert [part.name for part in source.partitions()] == ["a.parquet:0", "a.parquet:1", "a.parquet:2", "b.parquet"]
    items, bad = everything(source)
    assert [(item.text, item.locator, item.meta) for item in items] == [
        (f"text {n}", f"a.parquet#{n}", {"stars": n, "at": n}) for n in range(9)
    ]
    assert [line.locator for line in bad] == ["a.parquet:9", "b.parquet"]
    assert str(tmp_path) not in bad[1].reason


def test_parquet_without_the_column_of_the_text_is_one_line_that_names_those_there_are(tmp_path):
    pq.write_table(pa.table({"body": ["a"] * 9, "id": range(9)}), tmp_path / "a.parquet", row_group_size=4)
    items, bad = everything(Parquet(name="p", path=str(tmp_path)))
    assert items == [] and [(one.locator, one.reason) for one in bad] == [
        ("a.parquet", "there is no column 'text'; there are body, id")
    ]


def test_a_limit_takes_a_share_of_each_file(tmp_path):
    for name in "ab":
        lines = [json.dumps({"text": "x" * 100}) for _ in range(100)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    parts = JsonLines(name="j", path=str(tmp_path), limit="1 kB").partitions()
    assert [part.budget for part in parts] == [500, 500]


@given(st.dictionaries(st.text(min_size=1), st.integers(1, 1000)), st.integers(1, 5000), st.integers(0, 5000))
def test_a_sample_fits_its_limit_and_keeps_its_order(sizes, limit, more):
    taken = sample(sizes, limit)
    assert sum(sizes[name] for name in taken) <= limit
    assert sample(dict(reversed(sizes.items())), limit) == taken
    if sum(sizes.values()) <= limit + more:
        assert sample(sizes, limit + more) == set(sizes)


def _metadata(**fields: str | list[str]) -> Message:
    message = Message()
    for name, values in fields.items():
        for value in [values] if isinstance(values, str) else values:
            message[name.replace("_", "-")] = value
    return message


OSI = "License :: OSI Approved :: "
THREE = "Redistribution and use in source and binary forms … Neither the name of the author …"
TWO = "Redistribution and use in source and binary forms, with or without modification"


@pytest.mark.parametrize(
    ("fields", "text", "licence"),
    [
        ({"License_Expression": "MIT OR Apache-2.0", "License": "BSD"}, "", "MIT OR Apache-2.0"),
        ({"Classifier": [OSI + "MIT License"], "License": "see LICENSE"}, "", "MIT"),
        ({"Classifier": [OSI + "BSD License"]}, THREE, "BSD-3-Clause"),
        ({"Classifier": [OSI + "BSD License"]}, TWO, "BSD-2-Clause"),
        ({"Classifier": [OSI + "BSD License"]}, "", None),
        ({"Classifier": [OSI + "BSD License"], "License": "BSD-3-Clause"}, "", "BSD-3-Clause"),
        ({"Classifier": [OSI + "Apache Software License"]}, "Version 2.0, January 2004", "Apache-2.0"),
        ({"Classifier": [OSI + "MIT License", OSI + "Apache Software License"]}, "", "MIT AND Apache-2.0"),
        (
            {"Classifier": [OSI + "MIT License", OSI + "BSD License"], "License": "MIT OR BSD-3-Clause"},
            "",
            "MIT OR BSD-3-Clause",
        ),
        ({"Classifier": [OSI + "GNU General Public License v3 (GPLv3)"]}, "", "GPL-3.0-only"),
        ({"License": "MPL-2.0 AND MIT"}, "", "MPL-2.0 AND MIT"),
        ({"License": "Apache License, Version 2.0"}, "", "Apache-2.0"),
        ({"License": "Apache 2.0 License"}, "", "Apache-2.0"),
        ({"License": "The MIT License"}, "", "MIT"),
        ({"License": "3-Clause BSD License"}, "", "BSD-3-Clause"),
        ({"License": "UNKNOWN"}, "", None),
        ({"License": "free for friends"}, "", None),
        ({}, "", None),
    ],
)
def test_a_declared_licence_becomes_spdx_with_evidence(fields, text, licence):
    found, evidence = declared(_metadata(**fields, License_File="LICENSE"), lambda: text)
    assert found == licence
    assert evidence.endswith("; licence files: LICENSE")


def test_this_python_installation_is_read_with_its_licences():
    source = PythonPackages(name="python", limit="3 MB")
    partitions = source.partitions()
    assert sum(part.bytes for part in partitions) <= 3_000_000
    assert source.fingerprint() == PythonPackages(name="python", limit="3 MB").fingerprint()
    items, bad = everything(source)
    packages = {item.meta["package"] for item in items}
    assert {"python"} < packages and len(packages) > 10
    assert {item.domain for item in items} == {"code", "docs"}
    by_package = {item.meta["package"]: item for item in items}
    assert by_package["python"].licence == "PSF-2.0"
    assert all(item.licence_evidence for item in items)
    for item in [*items, *bad]:
        assert not item.locator.startswith("/") and "==" in item.locator and ".." not in item.locator.split("/")
        assert sysconfig.get_path("purelib") not in item.locator
    assert "seedstock" not in packages
    places = {str(Path.cwd()), sysconfig.get_path("purelib"), sysconfig.get_path("stdlib")}
    texts = [item.text if item.text is not None else item.raw.decode(item.encoding) for item in items]
    assert not any(place in text for place in places for text in texts)


def test_an_edit_of_the_standard_library_is_seen_whatever_its_size_and_time(tmp_path, monkeypatch):
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    found = set()
    for text in ("x = 1", "x = 2"):
        (tmp_path / "module.py").write_text(text)
        os.utime(tmp_path / "module.py", (1, 1))
        found.add(PythonPackages(name="p", include=["python"]).fingerprint())
    assert len(found) == 2


def test_chosen_packages_come_whole_and_alone():
    items, _ = everything(PythonPackages(name="p", include=["PyArrow", "python"], exclude=["python"]))
    assert {item.meta["package"] for item in items} == {"pyarrow"}
    description = next(item for item in items if item.locator.endswith("METADATA"))
    assert description.title.startswith("pyarrow: ") and "Metadata-Version" not in description.text
    assert all(item.licence == "Apache-2.0" for item in items)


def test_an_encoding_declared_in_a_module_is_followed(tmp_path):
    raw = "# -*- coding: latin-1 -*-\nname = 'é'\n".encode("latin-1")
    source = Text(name="t", path=str(tmp_path))
    (rows,) = Reader(source, b"k").rows([Item("a.py", raw=raw, encoding="iso-8859-1"), Item("b.py", raw=raw)], 1000)
    assert rows.columns["text"] == ["# -*- coding: latin-1 -*-\nname = 'é'\n"]
    assert rows.quarantine[0]["reason"].endswith("byte 0xe9 at 34")


COUNTS = {
    "text/books": 643,
    "text/specs": 2348,
    "code/thealgorithms": 1164,
    "multilingual/udhr": 528,
    "multilingual/sib200-30": 27150,
}


@pytest.mark.parametrize("name", COUNTS)
def test_every_record_of_the_data_pack_is_read(data_pack, name):
    items, bad = everything(JsonLines(name="d", path=f"${{SEEDSTOCK_DATA}}/{name}.jsonl.zst"))
    assert (len(items), bad) == (COUNTS[name], [])
    assert all(item.licence and item.text for item in items)
    assert len({item.locator for item in items}) == COUNTS[name]
