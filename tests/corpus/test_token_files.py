"""Token files of other programs: the same documents whatever the format, and every damage named."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import token_sets as sets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seedstock.corpus.media import COARSE, TOKENS
from seedstock.corpus.sources import tokens as module
from seedstock.corpus.sources.base import Item, Unreadable
from seedstock.corpus.sources.tokens import Tokens
from seedstock.errors import DataError


def everything(source: Tokens) -> tuple[list[Item], list[Unreadable]]:
    found = [item for part in source.partitions() for item in source.read(pickle.loads(pickle.dumps(part)))]
    return [item for item in found if isinstance(item, Item)], [item for item in found if isinstance(item, Unreadable)]


def ids(item: Item) -> list[int]:
    assert item.media_type == TOKENS and item.text == ""
    return np.frombuffer(item.media, "<u4").tolist()


FORMATS = {
    "nanogpt": (sets.nanogpt, {"separator": sets.EOT}),
    "nanogpt, llm.c": (sets.llm_c, {"separator": sets.EOT}),
    "megatron": (sets.megatron, {}),
    "dolma": (sets.dolma, {}),
    "datatrove": (sets.datatrove, {}),
    "mds": (sets.mds, {}),
    "input_ids": (sets.parquet, {}),
    "megatron, sentences": (lambda folder, docs: sets.megatron(folder, docs, 3, "<i4"), {}),
    "dolma, header": (lambda folder, docs: sets.dolma(folder, docs, header=True), {}),
    "datatrove, wide": (lambda folder, docs: sets.datatrove(folder, docs, "<u4"), {}),
    "mds, bytes": (lambda folder, docs: sets.mds(folder, docs, "bytes"), {}),
    "mds, uint16, zstd": (lambda folder, docs: sets.mds(folder, docs, "ndarray:uint16", "zstd"), {}),
    "input_ids, arrow": (sets.arrow, {}),
    "input_ids, arrow file": (lambda folder, docs: sets.arrow(folder, docs, stream=False), {}),
    "input_ids, padded": (lambda folder, docs: sets.parquet(folder, docs, pad_to=256), {}),
}


def source(name: str, path, **given) -> Tokens:
    return Tokens(name="t", format=name.partition(",")[0], path=str(path), tokenizer="gpt2", **given)


@pytest.mark.parametrize("chunk", [1 << 23, 700])
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_documents_that_were_written(tmp_path, monkeypatch, name, chunk):
    monkeypatch.setattr(module, "CHUNK", chunk)  # in one partition, and in many
    monkeypatch.setattr(module, "LONGEST_DOCUMENT", 400)
    write, given = FORMATS[name]
    docs = sets.documents()
    items, bad = everything(source(name, write(tmp_path, docs), **given))
    assert not bad and [ids(item) for item in items] == [doc.tolist() for doc in docs]
    assert len({item.locator for item in items}) == len(docs)
    if name != "input_ids, padded":  # rows of one length say nothing of documents
        assert not any("provenance" in item.meta for item in items)


def test_a_format_without_boundaries_gives_parts_of_files_that_are_marked(tmp_path):
    docs = sets.documents()
    path = sets.nanogpt(tmp_path, docs)
    whole = np.fromfile(path, "<u2").tolist()
    items, bad = everything(source("nanogpt", path, piece=1000))
    assert not bad and [token for item in items for token in ids(item)] == whole
    assert {item.meta["provenance"] for item in items} == {COARSE}
    assert [item.locator for item in items][:2] == ["train.bin#0", "train.bin#1000"]
    assert items[0].meta["span"] == [0, 1000] and items[0].meta["tokenizer"] == "gpt2"


def test_rows_of_one_length_are_marked_as_packed(tmp_path):
    packed = [np.arange(64, dtype=np.uint32)] * 5
    for write, name in ((sets.parquet, "input_ids"), (sets.mds, "mds"), (sets.arrow, "input_ids")):
        (tmp_path / write.__name__).mkdir()
        items, _ = everything(source(name, write(tmp_path / write.__name__, packed)))
        assert all(item.meta["provenance"] == COARSE for item in items) and len(items) == 5


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lengths=st.lists(st.integers(0, 9), max_size=30),
    last=st.booleans(),
    chunk=st.integers(1, 40),
    longest=st.integers(1, 50),
)
def test_separated_documents_do_not_depend_on_where_a_file_is_cut(tmp_path, lengths, last, chunk, longest):
    docs = [list(range(1, length + 1)) for length in lengths]
    stream = [token for doc in docs for token in [*doc, 0]] + ([7, 7] if last else [])
    np.array(stream, "<u2").tofile(tmp_path / "x.bin")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", chunk)
        items, bad = everything(source("nanogpt", tmp_path / "x.bin", separator=0, piece=1))
    expected = [doc for doc in docs if doc] + ([[7, 7]] if last else [])
    assert not bad and [ids(item) for item in items] == expected


def test_a_document_of_enormous_length_is_cut_and_marked(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LONGEST_DOCUMENT", 100)
    docs = [np.arange(20), np.arange(350), np.arange(30)]
    items, bad = everything(source("datatrove", sets.datatrove(tmp_path, docs)))
    assert not bad and [token for item in items for token in ids(item)] == np.concatenate(docs).tolist()
    assert [("provenance" in item.meta, item.meta["tokens"]) for item in items] == [
        (False, 20), (True, 100), (True, 100), (True, 100), (True, 50), (False, 30),
    ]  # fmt: skip


def test_what_the_index_says_of_a_document_is_kept(tmp_path):
    items, _ = everything(source("dolma", sets.dolma(tmp_path, sets.documents(3))))
    assert items[2].meta["document"] == "doc-2" and items[2].meta["source"] == "s3://bucket/x.json.gz"
    items, _ = everything(source("mds", sets.mds(tmp_path, sets.documents(3))))
    assert items[1].meta["name"] == "doc-1"


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_that_is_cut_off_gives_what_is_whole_or_is_named(tmp_path, name):
    write, given = FORMATS[name]
    docs = sets.documents()
    path = write(tmp_path, docs)
    if path.name == "index.json":
        path = next(tmp_path.glob("shard*"))
    data = path.read_bytes()
    for cut in (1, len(data) // 3 | 1, len(data) - 3 | 1):  # half a token at the end shows in plain files, too
        path.write_bytes(data[:cut])
        items, bad = everything(source(name, tmp_path if "mds" in name else path, **given))
        assert bad
        written = [doc.tolist() for doc in docs]
        assert [ids(item) for item in items] == written[: len(items)]
    assert all(str(tmp_path) not in one.reason + one.locator for one in bad)


def test_a_missing_index_is_one_clear_error_and_a_damaged_one_is_recorded(tmp_path):
    path = sets.megatron(tmp_path, sets.documents())
    index = path.with_suffix(".idx")
    data = index.read_bytes()
    for broken in (data[:20], data[:60], b"nothing of the kind", data[:9] + b"\xff" * (len(data) - 9)):
        index.write_bytes(broken)
        items, (bad,) = everything(source("megatron", path))
        assert not items and "index" in bad.reason
    index.unlink()
    with pytest.raises(DataError, match="its index is missing"):
        everything(source("megatron", path))


def test_ids_that_are_none_are_recorded_by_document(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = pa.table({"input_ids": pa.array([[1, 2], None, [], [3, -1], [4, None], [5]], pa.list_(pa.int64()))})
    pq.write_table(rows, tmp_path / "x.parquet")
    items, bad = everything(source("input_ids", tmp_path / "x.parquet"))
    assert [ids(item) for item in items] == [[1, 2], [5]]
    assert [one.locator for one in bad] == [f"x.parquet#{number}" for number in range(1, 5)]


def test_a_shard_outside_of_its_folder_is_not_opened(tmp_path):
    (tmp_path / "in").mkdir()
    index = sets.mds(tmp_path / "in", sets.documents(2))
    index.write_text(index.read_text().replace("shard.00000.mds", "../secret"))
    items, (bad,) = everything(source("mds", tmp_path / "in"))
    assert not items and "outside" in bad.reason
