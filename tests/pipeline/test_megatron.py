"""Shards leave for Megatron with their ledger, and come back as the same documents."""

from __future__ import annotations

import struct
from itertools import pairwise

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seedstock import weights
from seedstock.corpus.sources.tokens import Tokens
from seedstock.errors import DataError
from seedstock.inputs.megatron import _index
from seedstock.ledger.files import read_json
from seedstock.ledger.ids import sha256_file


def test_exported_shards_read_back_equal_and_name_their_documents(finished, tmp_path):
    ledger = weights.export_shards(finished, tmp_path / "out")
    assert ledger == read_json(tmp_path / "out" / "ledger.json") and ledger["head"] == finished.chain.head
    shards = finished.shards
    for pair in ledger["pairs"]:
        names, starts = shards.documents(pair["split"], pair["stratum"])
        whole = shards.read(pair["split"], pair["stratum"], starts[:1], int(starts[-1]))[0]
        table = np.load(tmp_path / "out" / f"{pair['name']}.documents.npy")
        assert np.array_equal(table["id"], names) and np.array_equal(table["tokens"], np.diff(starts))
        source = Tokens(
            name="t", format="megatron", path=str(tmp_path / "out" / f"{pair['name']}.bin"), tokenizer="own"
        )
        items = [item for part in source.partitions() for item in source.read(part)]
        assert [np.frombuffer(item.media, "<u4").tolist() for item in items] == [
            whole[a:b].tolist() for a, b in pairwise(starts)
        ]
        for suffix, digest in pair["sha256"].items():
            assert sha256_file(tmp_path / "out" / f"{pair['name']}.{suffix}") == digest
    documents = pq.read_table(tmp_path / "out" / "documents.parquet")
    assert documents.num_rows == sum(pair["documents"] for pair in ledger["pairs"])
    assert set(documents["licence"].to_pylist()) == {"PSF-2.0"} and "text" not in documents.column_names


def test_an_existing_folder_is_left_alone(finished, tmp_path):
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(DataError, match="exists already"):
        weights.export_shards(finished, tmp_path)
    assert (tmp_path / "mine").read_text() == "precious"


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lengths=st.lists(st.integers(1, 1000), min_size=1, max_size=20), wide=st.booleans())
def test_the_index_has_the_fields_that_megatron_reads(tmp_path, lengths, wide):
    """By its layout: magic, version, type code, counts, lengths (int32), offsets and firsts (int64)."""
    dtype = np.dtype("<i4" if wide else "<u2")
    with (tmp_path / "x.idx").open("wb") as file:
        _index(file, np.array(lengths), dtype)
    data = (tmp_path / "x.idx").read_bytes()
    count = len(lengths)
    assert data[:9] == b"MMIDIDX\0\0"
    assert struct.unpack_from("<QBQQ", data, 9) == (1, 4 if wide else 8, count, count + 1)
    assert np.frombuffer(data, "<i4", count, 34).tolist() == lengths
    offsets = np.frombuffer(data, "<i8", count, 34 + 4 * count)
    assert offsets.tolist() == [sum(lengths[:n]) * dtype.itemsize for n in range(count)]
    assert np.frombuffer(data, "<i8", offset=34 + 12 * count).tolist() == list(range(count + 1))
