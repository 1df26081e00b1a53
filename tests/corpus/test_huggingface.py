"""Data sets in the hub's layout, streamed from a local folder; what is not pinned is refused."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_sources import everything

from seedstock.corpus.sources.huggingface import HuggingFace
from seedstock.errors import DataError

pytest.importorskip("datasets")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    place = tmp_path / "seeds"
    (place / "data").mkdir(parents=True)
    for shard in range(3):
        rows = [{"body": f"text {shard}-{n}", "id": f"{shard}{n}", "license": "MIT" if n else None} for n in range(4)]
        (place / "data" / f"train-0000{shard}-of-00003.jsonl").write_text(
            "".join(json.dumps(row) + "\n" for row in rows)
        )
    (place / "data" / "test-00000-of-00001.jsonl").write_text('{"body": "held", "id": "x", "license": null}\n')
    (place / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n# Seeds\n")
    return place


def test_a_split_is_read_file_by_file_with_the_licence_of_its_card(folder):
    source = HuggingFace(name="h", dataset=str(folder), fields={"text": "body"})
    assert [part.name for part in source.partitions()] == ["train:0", "train:1", "train:2"]
    items, bad = everything(source)
    assert bad == [] and [(item.text, item.locator) for item in items] == [
        (f"text {shard}-{n}", f"seeds/train#{shard}{n}") for shard in range(3) for n in range(4)
    ]
    assert [item.licence for item in items[:2]] == ["CC-BY-4.0", "MIT"]
    assert items[5].meta == {"at": 1, "shard": 1} and str(folder.parent) not in repr(items)
    (only,), _ = everything(HuggingFace(name="h", dataset=str(folder), split="test", fields={"text": "body"}))
    assert only.text == "held"


def test_a_fingerprint_follows_the_files(folder):
    source = HuggingFace(name="h", dataset=str(folder))
    before = source.fingerprint()
    assert source.fingerprint() == before
    (folder / "data" / "test-00000-of-00001.jsonl").write_text('{"body": "other", "id": "x", "license": null}\n')
    assert source.fingerprint() != before


def test_what_is_not_pinned_or_not_there_is_one_message(folder, monkeypatch):
    with pytest.raises(DataError, match="not pinned to a commit"):
        HuggingFace(name="h", dataset="someone/seeds").partitions()
    with pytest.raises(ValueError, match="pattern"):
        HuggingFace(name="h", dataset="someone/seeds", revision="main")
    with pytest.raises(DataError, match="no such folder"):
        HuggingFace(name="h", dataset=str(folder / "none")).partitions()
    with pytest.raises(DataError, match="cannot be listed"):
        HuggingFace(name="h", dataset=str(folder), split="nowhere").partitions()


def test_a_damaged_file_costs_its_own_rows_alone(folder):
    for path in (folder / "data").glob("*.jsonl"):
        path.unlink()
    for shard in range(2):
        rows = {
            "text": [f"{shard}-{n}" * 1000 for n in range(50)],
            "picture": [{"bytes": b"\x89PNG", "path": "a"}] * 50,
        }
        pq.write_table(pa.table(rows), folder / "data" / f"train-0000{shard}-of-00002.parquet", row_group_size=10)
    path = folder / "data" / "train-00000-of-00002.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 600] = bytes(600)
    path.write_bytes(data)
    items, bad = everything(HuggingFace(name="h", dataset=str(folder)))
    assert len(bad) == 1 and "breaks off" in bad[0].reason and str(folder.parent) not in repr(bad)
    assert sum(item.locator.startswith("seeds/train:1:") for item in items) == 50
    assert all("picture" not in item.meta for item in items)
