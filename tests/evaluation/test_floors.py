"""The floors of a corpus: the same bytes, whatever the batches, in total and by group."""

from __future__ import annotations

import json
import string
from pathlib import Path

import numpy as np
import pytest
from small_corpus import SmallCorpus

from seedstock.errors import DataError
from seedstock.evaluation.compress import compress
from seedstock.evaluation.config import EvaluationConfig
from seedstock.evaluation.counts import CountModel
from seedstock.evaluation.floors import best_order, floors
from seedstock.evaluation.tally import LN2, ratio
from seedstock.evaluation.texts import read


@pytest.fixture(scope="module")
def rows():
    """Modules of the standard library, and some text in two scripts."""
    files = sorted(Path(string.__file__).parent.glob("*.py"))[:40]
    python = [("stdlib", "code", "en", path.read_text(encoding="utf-8", errors="replace")[:3000]) for path in files]
    greek = [("poems", "text", "el", "μῆνιν ἄειδε θεὰ Πηληϊάδεω Ἀχιλῆος " * k) for k in range(1, 5)]
    empty = [("stdlib", "code", "en", "")]
    return python[:34] + greek[:3] + empty, python[34:] + greek[3:] + empty


def test_batches_change_nothing_and_groups_add_up(rows):
    train, held_out = rows
    results = [floors(SmallCorpus(train, held_out, batch), characters=True) for batch in (1, 7, 1000)]
    for result in results:
        result.pop("seconds")
    assert json.loads(json.dumps(results[0])) == results[0]
    for result in results[1:]:
        np.testing.assert_allclose(_numbers(result), _numbers(results[0]), rtol=1e-12)

    size = {source: sum(len(row[3].encode()) for row in held_out if row[0] == source) for source in ("stdlib", "poems")}
    first = results[0]
    assert first["held_out"] == {"documents": len(held_out), "bytes": sum(size.values())}
    for order, entry in first["bytes"]["orders"].items():
        parts = sum(first["bytes"]["by"]["source"][source][order] * size[source] for source in size)
        assert entry["bits_per_byte"] == pytest.approx(parts / sum(size.values()), rel=1e-12)


def _numbers(node):
    if isinstance(node, dict):
        return [number for value in node.values() for number in _numbers(value)]
    return [node] if isinstance(node, int | float) else []


def test_equals_the_count_model_and_is_below_uniform(rows):
    train, held_out = rows
    result = floors(SmallCorpus(train, held_out))
    model = CountModel(256, 5)
    for text in (row[3].encode() for row in train):
        model.add(np.frombuffer(text, np.uint8), np.array([len(text)]))
    data = b"".join(row[3].encode() for row in held_out)
    lengths = np.array([len(row[3].encode()) for row in held_out])
    expected = model.witten_bell(np.frombuffer(data, np.uint8), lengths).mean(1) / LN2
    values = [entry["bits_per_byte"] for entry in result["bytes"]["orders"].values()]
    np.testing.assert_allclose(values, expected, rtol=1e-12)
    assert all(value < 8 for value in values)
    assert best_order(result) == (int(np.argmin(expected)), min(values))


def test_only_the_named_documents_are_scored(rows):
    train, held_out = rows
    everything = SmallCorpus(train, held_out)
    ids = [name for texts in read(everything, "held_out") for name in texts.ids]
    result = floors(everything, only=frozenset(ids[:2]))
    assert result["bytes"]["orders"] == floors(SmallCorpus(train, held_out[:2]))["bytes"]["orders"]


def test_characters_of_ascii_are_its_bytes():
    train = [("a", "b", "en", "hello world, hello\n" * 30)]
    held_out = [("a", "b", "en", "well, hold the rod; zz")]  # with characters that training lacks
    result = floors(SmallCorpus(train, held_out), characters=True)["characters"]
    alphabet = sorted(set(train[0][3]))
    assert result["alphabet"] == len(alphabet) + 1
    model = CountModel(len(alphabet) + 1, 5)
    symbols = [
        np.array([alphabet.index(c) if c in alphabet else len(alphabet) for c in t[0][3]]) for t in (train, held_out)
    ]
    model.add(symbols[0], np.array([len(symbols[0])]))
    expected = model.additive(symbols[1], np.array([len(symbols[1])])).mean(1)
    np.testing.assert_allclose(list(result["add_0.1"].values()), expected, rtol=1e-12)


def test_a_limit_takes_a_sample_and_says_so(rows):
    train, held_out = rows
    size = sum(len(row[3].encode()) for row in train)
    result = floors(SmallCorpus(train, held_out), EvaluationConfig(floor_limit=size // 2))
    assert 0 < result["training"]["bytes"] < size == result["training"]["available_bytes"]


def test_empty_splits_are_refused(rows):
    train, held_out = rows
    with pytest.raises(DataError, match="held-out split has no text"):
        floors(SmallCorpus(train, []))
    with pytest.raises(DataError, match="no training text"):
        floors(SmallCorpus([], held_out))


def test_training_text_helps_the_compressor():
    text = Path(string.__file__).read_bytes()
    result = compress(text[:4000], text)
    assert result["after_training"] < 0.2 < result["alone"] < 8
    assert "alone" not in compress(b"")


def test_ratio_has_the_error_of_its_documents():
    rng = np.random.default_rng(3)
    sizes = rng.integers(50, 2000, 4000).astype(float)
    rates = rng.normal(2.0, 0.3, 4000)
    draws = [ratio((sizes * rates)[part], sizes[part]) for part in rng.integers(0, 4000, (600, 50))]
    spread = np.std([value for value, _ in draws])
    assert np.mean([error for _, error in draws]) == pytest.approx(spread, rel=0.1)
    assert ratio(np.ones(1), np.ones(1)) == (1.0, None)
    assert ratio(np.zeros(0), np.zeros(0)) == (None, None)
