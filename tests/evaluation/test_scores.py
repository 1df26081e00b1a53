"""The scores of a small network: what the file holds, and that it agrees with its parts."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from small_corpus import SmallCorpus
from small_shards import PAD, ByteTokenizer, document_id, write_shards

from seedstock.evaluation.config import EvaluationConfig
from seedstock.evaluation.floors import floors
from seedstock.evaluation.scores import beside, evaluate
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.provenance.erase import streams

TEXTS = [f"document {number}: " + "the quick brown fox jumps over the lazy dog " * number for number in range(1, 9)]


@pytest.fixture(scope="module")
def network():
    torch.set_num_threads(1)
    return DecoderConfig(width=32, layers=1, heads=2, context=64).build(ByteTokenizer.vocab_size)


def test_scores_and_floors_of_the_same_bytes(tmp_path, network):
    rows = [("a", "text", "en", text) for text in TEXTS]
    measured = floors(SmallCorpus(rows[:4], rows[4:]))
    shards = write_shards(tmp_path / "shards", [("a", "text", "en", [text.encode() for text in TEXTS[4:]])])
    result = evaluate(network, ByteTokenizer, shards, context=64, floors=measured, folder=tmp_path, characters=True)
    on_disk = json.loads((tmp_path / "scores.json").read_text())
    assert on_disk == json.loads(json.dumps(result))
    assert result["parameters"] == sum(parameter.numel() for parameter in network.parameters())
    held_out = result["held_out"]
    assert held_out["bytes"] == held_out["available_bytes"] == measured["held_out"]["bytes"]
    assert result["floors"]["same_bytes"] and not result["floors"]["beats_best"]  # it was never trained
    assert held_out["nats_per_character"] == held_out["nats_per_token"]
    assert 0 <= result["noise"]["bits_per_byte"] < 1e-4
    assert 0 < held_out["standard_error"] < 1
    table = np.load(tmp_path / "documents.npy", allow_pickle=False)
    assert table["bytes"].sum() == held_out["bytes"]
    assert table["nats"].sum() / np.log(2) / held_out["bytes"] == pytest.approx(held_out["bits_per_byte"])


def test_what_was_erased_is_neither_scored_nor_counted(tmp_path, network):
    texts = [text.encode() for text in TEXTS[4:]]
    whole, fewer = (
        write_shards(tmp_path / name, [("a", "text", "en", some)])
        for name, some in (("whole", texts), ("few", texts[1:]))
    )
    streams.erase(whole.folder, frozenset({document_id(texts[0])}))
    for limit in (None, len(texts[1]) + 300):
        config = EvaluationConfig(limit=limit)
        erased, never = (
            evaluate(network, ByteTokenizer, one, config, context=64)["held_out"] for one in (whole, fewer)
        )
        assert {**erased, "available_bytes": 0} == {**never, "available_bytes": 0}
    measured = floors(SmallCorpus([("a", "text", "en", TEXTS[0])], [("a", "text", "en", text) for text in TEXTS[5:]]))
    result = evaluate(network, ByteTokenizer, whole, context=64, floors=measured)
    assert result["floors"]["same_bytes"] and result["held_out"]["available_bytes"] == result["held_out"]["bytes"]


def test_padding_in_a_document_is_not_scored(tmp_path, network):
    text = TEXTS[4].encode()
    shards = write_shards(tmp_path, [("a", "text", "en", [text])])
    (path,) = (tmp_path / "held_out").glob("*.tokens")
    streams._overwrite(path, [(100, len(text) + 2)], np.array([PAD], "<u2"))
    assert evaluate(network, ByteTokenizer, shards, context=64)["held_out"]["tokens"] == 99


def test_a_limit_scores_less_and_says_so(tmp_path, network):
    shards = write_shards(tmp_path / "shards", [("a", "text", "en", [text.encode() for text in TEXTS])])
    result = evaluate(network, ByteTokenizer, shards, EvaluationConfig(limit=400, stride=16), context=64)
    assert 0 < result["held_out"]["bytes"] <= 400 < result["held_out"]["available_bytes"]
    assert result["windows"]["stride"] == 16


def test_beaten_orders_are_counted_from_below():
    measured = {"held_out": {"bytes": 10}, "bytes": {"orders": {}}}
    for order, value in enumerate([4.6, 3.6, 2.7, 2.2, 2.4]):
        measured["bytes"]["orders"][str(order)] = {"bits_per_byte": value}
    found = beside({"bits_per_byte": 2.5, "bytes": 10}, measured)
    assert (found["beaten_order"], found["best_order"], found["beats_best"]) == (2, 3, False)
    assert beside({"bits_per_byte": 5.0, "bytes": 10}, measured)["beaten_order"] is None
    assert beside({"bits_per_byte": 2.1, "bytes": 9}, measured)["beats_best"]
    assert not beside({"bits_per_byte": 2.1, "bytes": 9}, measured)["same_bytes"]
