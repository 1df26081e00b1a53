"""Pairs of segments, and what masked-token prediction refuses or passes over."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seedstock.errors import RecipeError
from seedstock.inputs.keys import Keys
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.models.configs.encoder import EncoderConfig
from seedstock.objectives import pairs
from seedstock.objectives.base import Spec
from seedstock.objectives.configs.diffusion import DiffusionConfig
from seedstock.objectives.configs.masked import MaskedConfig

SPECIALS = {"bos": 0, "eos": 1, "pad": 2, "mask": 3, "sep": 4}
SIZES = {"width": 16, "layers": 1, "heads": 2, "context": 32}


def windows(sizes, first, length):
    """Documents of these sizes end to end, BOS and EOS around each; tokens count upwards from ``first``."""
    tokens, documents = [], []
    for number, size in enumerate(sizes):
        tokens += [0, *range(first, first + size), 1]
        documents += [number] * (size + 2)
        first += size
    pad = max(0, length - len(tokens))
    return (tokens + [2] * pad)[:length], (documents + [-1] * pad)[:length]


@given(st.lists(st.integers(0, 40), min_size=1, max_size=4), st.lists(st.integers(0, 40), min_size=1, max_size=4))
def test_the_second_segment_goes_on_or_is_the_partners_and_lengths_tell_nothing(own, other):
    rows, length = 16, 32
    mine, documents = windows(own, 10, length)
    partner, partner_documents = windows(other, 1000, length)
    items = {
        "tokens": np.array([mine] * rows),
        "documents": np.array([documents] * rows),
        "partner_tokens": np.array([[partner]] * rows),
        "partner_documents": np.array([[partner_documents]] * rows),
    }
    made = pairs.prepare(items, Keys(1, np.arange(rows)), SPECIALS)
    whole = pairs.longest(np.array(mine), np.array(documents), np.array([0, 1, 2]))[: length - 3].tolist()
    begun = pairs.longest(np.array(partner), np.array(partner_documents), np.array([0, 1, 2])).tolist()
    for row in range(rows):
        tokens = made["tokens"][row][made["documents"][row] >= 0].tolist()
        assert tokens[0] == 0 and tokens[-1] == 4 and tokens.count(4) == 2
        cut = tokens.index(4)
        first, second, random = tokens[1:cut], tokens[cut + 1 : -1], made["random_next"][row]
        assert (random == -1) == (len(whole) < 2)
        if random == 1:
            assert whole[: len(first)] == first and second == begun[: len(second)]
            assert len(second) == min(len(whole) - len(first), len(begun))
        else:
            assert first + second == whole
        assert made["types"][row][: len(tokens)].tolist() == [0] * (cut + 1) + [1] * (len(second) + 1)


def test_a_row_without_anything_to_hide_counts_for_nothing():
    objective = MaskedConfig().build(Spec(64, 32, SPECIALS))
    tokens = torch.tensor([[0, 1, 2, 2], [0, 9, 1, 2]])
    batch = {"tokens": tokens, "documents": torch.tensor([[0, 0, -1, -1], [0, 0, 0, -1]])}
    made = objective.corrupt(batch, Keys(1, np.arange(2)))
    assert made["targets"].tolist() == [[-1] * 4, [-1, 9, -1, -1]], "a text of one token gives its one token"
    assert int(objective.counts(made)["masked"]) == 1


@pytest.mark.parametrize("config", [MaskedConfig(), DiffusionConfig()])
def test_a_tokenizer_without_a_mask_is_refused(config):
    with pytest.raises(RecipeError, match="no special token mask"):
        config.build(Spec(64, 32, {"bos": 0, "eos": 1, "pad": 2}, EncoderConfig(shape="esm2", **SIZES).filled()))


@pytest.mark.parametrize(
    "model, where",
    [
        (EncoderConfig(shape="modernbert", **SIZES), "model.shape"),
        (DecoderConfig(shape="llama", **SIZES), "model.shape"),
        (EncoderConfig(shape="bert", **{**SIZES, "context": 6}), "model.context"),
    ],
)
def test_the_next_sentence_needs_segments(model, where):
    with pytest.raises(RecipeError) as error:
        MaskedConfig(next_sentence=True).build(Spec(64, 32, SPECIALS, model.filled()))
    assert error.value.where == where
