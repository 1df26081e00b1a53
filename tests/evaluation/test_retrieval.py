"""What stands far back: a model that copies is right everywhere, one that looks near by only near by."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "models"))
from small_networks import lively

from seedstock.errors import SeedstockError
from seedstock.evaluation.retrieval import copies, passkey

FILLER = np.random.default_rng(0).integers(0, 500, 4000).tolist()


class Copier(torch.nn.Module):
    """Says what followed the last three tokens when they last occurred, within ``sight`` tokens."""

    def __init__(self, sight, order=3):
        super().__init__()
        self.sight, self.order = sight, order
        self.config = SimpleNamespace(context=4096)
        self.head = SimpleNamespace(matrix=torch.empty(0))

    def forward(self, tokens):
        row, order = tokens[0].tolist(), self.order
        logits = torch.zeros(1, len(row), 1024)
        seen = {}
        for i in range(order - 1, len(row)):
            context = tuple(row[i - order + 1 : i + 1])
            last = seen.get(context)
            if last is not None and i - last <= self.sight:
                logits[0, i, row[last + 1]] = 1
            seen[context] = i
        return logits


def test_a_copier_finds_every_key():
    found = copies(Copier(sight=10_000), FILLER, [64, 512], trials=8)
    assert [one["accuracy"] for one in found] == [1.0] * 8
    distances = [one["distance"] for one in found[4:]]
    assert distances == sorted(distances, reverse=True) and distances[0] > 450


def test_one_with_short_sight_finds_those_near_by():
    found = copies(Copier(sight=200), FILLER, [512], trials=8)
    assert [one["accuracy"] for one in found] == [float(one["distance"] < 195) for one in found]
    assert {one["accuracy"] for one in found} == {0.0, 1.0}


def test_an_untrained_network_finds_none():
    filler = [token % 96 for token in FILLER]
    assert max(one["tokens"] for one in copies(lively(), filler, [48], trials=8)) < 0.3


def test_pass_keys_are_asked_for_in_the_words_that_told_them():
    tokenizer = SimpleNamespace(encode=lambda text: np.frombuffer(text.encode(), np.uint8).astype(np.int64) + 512)
    found = passkey(Copier(sight=10_000, order=10), tokenizer, FILLER, [1024], trials=4)
    assert all(one["accuracy"] == 1.0 for one in found)
    assert all(one["accuracy"] == 0.0 for one in passkey(Copier(sight=10), tokenizer, FILLER, [1024], trials=4))


def test_what_does_not_fit_is_said():
    with pytest.raises(SeedstockError, match="do not fit the context"):
        copies(lively(), FILLER, [49])
    with pytest.raises(SeedstockError, match="filler of 10"):
        copies(lively(), FILLER[:10], [48])
