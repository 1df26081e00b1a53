"""Shards hold the corpus's tokens and nothing else, and say of every position whose it is."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from texts_corpus import TextsCorpus

from seedstock.errors import DataError, IntegrityError
from seedstock.inputs.shards import Shards
from seedstock.inputs.write import dtype_of, write
from seedstock.ledger import manifest
from seedstock.ledger.store import Store
from seedstock.progress import Silent


@pytest.fixture(scope="module")
def streams(corpus, bpe):
    """(split, stratum) → its tokens, and (id, start, tokens) of its documents, put together independently."""
    found = {}
    for row in corpus.rows:
        tokens, documents = found.setdefault((row["split"], row["stratum"]), ([], []))
        ids = [bpe.specials["bos"], *bpe.encode(row["text"]).tolist(), bpe.specials["eos"]]
        documents.append((row["id"], len(tokens), len(ids)))
        tokens.extend(ids)
    return found


def test_every_stratum_is_its_documents_one_after_another(shards, streams, corpus):
    for (split, stratum), (tokens, documents) in streams.items():
        entry = next(s for s in shards.strata(split) if s.stratum == stratum)
        assert (entry.tokens, entry.documents) == (len(tokens), len(documents))
        assert shards.read(split, stratum, np.array([0]), len(tokens))[0].tolist() == tokens
        prefix = "" if split == "train" else "held_out_"
        assert entry.bytes == next(s for s in corpus.strata if s["stratum"] == stratum)[f"{prefix}bytes"]
    assert {(split, s.stratum) for split in ("train", "held_out") for s in shards.strata(split)} == set(streams)


def test_streams_are_cut_into_files_and_read_over_their_ends(shards):
    english = max(shards.index["splits"]["train"], key=lambda entry: entry["tokens"])
    assert len(english["files"]) > 2
    assert {file["tokens"] for file in english["files"][:-1]} == {20_001 // 2}
    assert sum(file["tokens"] for file in english["files"]) == english["tokens"]


@settings(deadline=None)
@given(data=st.data())
def test_windows_are_slices_of_the_stream(shards, streams, data):
    split, stratum = data.draw(st.sampled_from(sorted(streams)))
    tokens, documents = streams[split, stratum]
    ends = np.cumsum([file["tokens"] for file in _entry(shards, split, stratum)["files"]]).tolist()
    near = st.sampled_from([*ends, *(start for _, start, _ in documents)]).map(lambda end: max(end - 20, 0))
    starts = data.draw(st.lists(st.integers(0, len(tokens) - 1) | near, min_size=1, max_size=6))
    length = data.draw(st.integers(1, 200) | st.just(12_000))
    pad = shards.specials["pad"]
    read = shards.read(split, stratum, np.array(starts), length)
    numbers, positions = shards.boundaries(split, stratum, np.array(starts), length)
    begins = {start for _, start, _ in documents}
    for row, start in enumerate(starts):
        assert read[row].tolist() == (tokens[start : start + length] + [pad] * length)[:length]
        document = position = 0
        for offset in range(min(length, len(tokens) - start)):
            if offset and start + offset in begins:
                document, position = document + 1, 0
            assert (numbers[row, offset], positions[row, offset]) == (document, position)
            position += 1
        assert (numbers[row, len(tokens) - start :] == -1).all()


def _entry(shards, split, stratum):
    return next(entry for entry in shards.index["splits"][split] if entry["stratum"] == stratum)


@settings(deadline=None)
@given(data=st.data())
def test_every_position_names_its_document(shards, streams, data):
    split, stratum = data.draw(st.sampled_from(sorted(streams)))
    tokens, documents = streams[split, stratum]
    position = data.draw(st.integers(0, len(tokens) - 1))
    own = next(d for d in documents if d[1] <= position < d[1] + d[2])
    assert shards.document_at(split, stratum, position) == own
    stop = data.draw(st.integers(position, len(tokens) + 5))
    expected = [
        (name, max(start, position), min(start + size, stop))
        for name, start, size in documents
        if start < min(stop, len(tokens)) and start + size > position and position < stop
    ]
    assert shards.spans(split, stratum, position, stop) == expected


def test_documents_are_found_where_they_lie_and_held_out_ones_nowhere_else(shards, streams, corpus):
    for (split, stratum), (_, documents) in streams.items():
        for name, start, size in documents:
            assert shards.occurrences(name) == [(split, stratum, start, size)]
    assert any(row["split"] == "held_out" for row in corpus.rows)
    assert shards.occurrences(bytes(16)) == []


def test_a_rerun_is_byte_identical_whatever_the_batches(shards, corpus, bpe, tmp_path):
    other = TextsCorpus.__new__(TextsCorpus)
    other.__dict__.update(corpus.__dict__, batch=1)
    again = write(other, bpe, store=Store(tmp_path), reporter=Silent(), file_bytes=20_001)
    assert manifest.read(again).root == manifest.read(shards.folder).root


def test_a_table_takes_twenty_bytes_a_document(shards):
    entry = max(shards.index["splits"]["train"], key=lambda entry: entry["documents"])
    assert np.load(shards.folder / entry["table"]).itemsize == 20
    assert dtype_of(65_536) == np.dtype("<u2") and dtype_of(65_600) == np.dtype("<u4")


def test_damage_names_the_file(shards, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(shards.folder, copy)
    entry = shards.index["splits"]["train"][0]
    path = copy / entry["files"][0]["path"]
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(IntegrityError, match="entries") as error:
        Shards(copy).read("train", entry["stratum"], np.array([0]), 4)
    assert error.value.where == str(path)
    path.unlink()
    with pytest.raises(IntegrityError, match="missing"):
        Shards(copy).read("train", entry["stratum"], np.array([0]), 4)
    (copy / entry["table"]).write_bytes(b"damaged")
    with pytest.raises(IntegrityError):
        Shards(copy).document_at("train", entry["stratum"], 0)
    with pytest.raises(DataError, match="no stratum"):
        shards.read("train", 99, np.array([0]), 4)


def test_a_corpus_without_training_documents_is_refused_and_leaves_nothing(bpe, tmp_path):
    (tmp_path / "corpus").mkdir()
    empty = TextsCorpus(tmp_path / "corpus", [("s", "d", "en", "held", "held_out")])
    with pytest.raises(DataError, match="no training documents"):
        write(empty, bpe, store=Store(tmp_path), reporter=Silent())
    assert not list((tmp_path / ".store").rglob("index.json"))
