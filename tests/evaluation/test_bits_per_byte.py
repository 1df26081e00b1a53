"""Bits per byte: every token once, whatever the batches and windows, and equal to the sum done by hand."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_shards import BOS, ByteTokenizer, document_id, write_shards
from torch.nn import functional as F

from seedstock.errors import DataError
from seedstock.evaluation.bits_per_byte import score
from seedstock.evaluation.tally import LN2
from seedstock.evaluation.windows import _cut
from seedstock.models.configs.decoder import DecoderConfig

CONTEXT = 16
STRATA = [
    ("letters", "text", "en", [b"hello", b"a rather longer document, of more than two windows", b"", b"x"]),
    ("numbers", "code", "", [bytes(range(40, 72)), b"0123456789abcdef", b"0123456789abcdefg"]),
]
TEXTS = [text for *_, texts in STRATA for text in texts]


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("shards"), STRATA)


@pytest.fixture(scope="module")
def network():
    torch.set_num_threads(1)
    sizes = {"width": 32, "layers": 2, "heads": 2, "mlp_width": 64, "context": CONTEXT, "dropout": 0.5}
    return DecoderConfig(**sizes, tied_embeddings=False).build(ByteTokenizer.vocab_size, seed=3)


def by_hand(network, text, context, stride):
    """Nats of a document's tokens, window by window."""
    network.eval()
    tokens, nats, done = [BOS, *text], [], 0
    start = 0
    while done < len(text):
        inputs = torch.tensor([tokens[start : start + context]])
        targets = torch.tensor(tokens[start + 1 : start + context + 1])
        with torch.no_grad():
            every = F.cross_entropy(network(inputs)[0, : len(targets)], targets, reduction="none").tolist()
        nats += every[done - start :]
        done = start + len(targets)
        start += stride
    return nats


@pytest.mark.parametrize("stride", [16, 5, 1])
@pytest.mark.parametrize("batch_tokens", [1, 40, 100_000])
def test_equals_the_sum_by_hand(network, shards, batch_tokens, stride):
    found = score(network, shards, ByteTokenizer, context=CONTEXT, stride=stride, batch_tokens=batch_tokens)
    expected = [sum(by_hand(network, text, CONTEXT, stride)) for text in TEXTS]
    np.testing.assert_allclose(found.nats, expected, rtol=1e-5)
    assert found.bytes.tolist() == found.tokens.tolist() == [len(text) for text in TEXTS]
    assert found.documents.ids == [document_id(text) for text in TEXTS]
    summary = found.summary()
    assert summary["bits_per_byte"] == pytest.approx(sum(expected) / LN2 / sum(map(len, TEXTS)), rel=1e-5)
    assert summary["documents"] == sum(bool(text) for text in TEXTS)


def test_groups_and_positions_add_up(network, shards):
    found = score(network, shards, ByteTokenizer, context=CONTEXT)
    total = found.summary()
    for group in found.by().values():
        assert sum(part["bytes"] for part in group.values()) == total["bytes"]
        nats = sum(part["nats_per_token"] * part["tokens"] for part in group.values())
        assert nats == pytest.approx(total["nats_per_token"] * total["tokens"])
    curve = found.in_context()
    assert [(part["from"], part["to"]) for part in curve] == [(1, 1), (2, 3), (4, 7), (8, 15), (16, 16)]
    assert sum(part["tokens"] for part in curve) == total["tokens"]
    assert sum(part["nats_per_token"] * part["tokens"] for part in curve) == pytest.approx(found.nats.sum())
    first = [by_hand(network, text, CONTEXT, CONTEXT)[::CONTEXT] for text in TEXTS]
    assert curve[0]["nats_per_token"] == pytest.approx(np.mean(np.concatenate(first)), rel=1e-5)


def test_a_uniform_network_needs_the_logarithm_of_its_vocabulary(network, shards):
    uniform = copy.deepcopy(network)
    torch.nn.init.zeros_(uniform.head.weight)
    found = score(uniform, shards, ByteTokenizer, context=CONTEXT)
    assert found.bits_per_byte() == pytest.approx(math.log2(320), rel=1e-6)
    assert found.summary()["standard_error"] == pytest.approx(0, abs=1e-6)


def test_bf16_is_near_fp32_and_the_network_is_left_as_it_was(network, shards):
    fp32 = score(network, shards, ByteTokenizer, context=CONTEXT).bits_per_byte()
    network.train()
    bf16 = score(network.use(torch.bfloat16), shards, ByteTokenizer, context=CONTEXT).bits_per_byte()
    assert network.training
    network.use(torch.float32)
    assert bf16 == pytest.approx(fp32, rel=1e-2)


def test_a_limit_takes_the_lowest_ids(network, shards):
    found = score(network, shards, ByteTokenizer, context=CONTEXT, limit=60)
    names = sorted(map(document_id, TEXTS))
    assert 0 < len(found.nats) < len(TEXTS)
    assert sorted(found.documents.ids) == names[: len(found.nats)]
    everything = score(network, shards, ByteTokenizer, context=CONTEXT)
    rows = [everything.documents.ids.index(name) for name in found.documents.ids]
    np.testing.assert_allclose(found.nats, everything.nats[rows], rtol=1e-5)


def test_an_empty_split_is_refused(network, shards):
    with pytest.raises(DataError, match="no tokens"):
        score(network, shards, ByteTokenizer, context=CONTEXT, split="train")


@given(st.lists(st.integers(0, 100), max_size=6), st.integers(1, 30), st.integers(1, 30))
@settings(max_examples=200, deadline=None)
def test_windows_predict_every_token_once(sizes, context, stride):
    stride = min(stride, context)
    row, start, length, fresh = _cut(np.array(sizes, np.int64), context, stride)
    seen = [(r, s + k) for r, s, n, f in zip(row, start, length, fresh, strict=True) for k in range(f, n)]
    assert sorted(seen) == [(r, k) for r, size in enumerate(sizes) for k in range(size)]
    assert (length <= context).all() and (length > fresh).all()
    assert all(k >= min(context - stride, start) for start, k in zip(start, fresh, strict=True))
