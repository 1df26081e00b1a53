"""The prefix language model: who sees whom, what is predicted, and where prefixes end."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent.parent / "models"))
from real_windows import batch, spec, trained
from small_networks import VOCABULARY, lively, packed, small

from seedstock.errors import RecipeError
from seedstock.inputs.keys import Keys
from seedstock.objectives.base import Spec, assemble
from seedstock.objectives.configs.prefix import PrefixConfig


def example(rows=4, seed=0, **options):
    """A batch with prefixes, as tensors."""
    made = packed(batch=rows, seed=seed, **options)
    found = (
        PrefixConfig()
        .build()
        .prepare({name: value.numpy() for name, value in made.items()}, Keys(seed, made["examples"].numpy()))
    )
    return {name: torch.from_numpy(array) for name, array in found.items()} | {"examples": made["examples"]}


def losses(network, given_):
    objective = PrefixConfig().build()
    nets = assemble(network, objective)
    output = network.backbone(**objective.inputs(nets, given_))
    sums, _ = objective.loss(nets, output, given_)
    return sums["prefix"], objective.counts(given_)["prefix"], output.hidden


@given(st.integers(0, 2**31), st.integers(1, 12))
@settings(max_examples=40)
def test_a_prefix_is_the_beginning_of_its_document_and_never_the_whole(seed, documents):
    given_ = example(seed=seed, documents=documents)
    for row in range(4):
        for number in given_["documents"][row].unique():
            own = given_["prefix"][row][given_["documents"][row] == number].tolist()
            size = sum(own)
            assert own == [True] * size + [False] * (len(own) - size)
            assert 1 <= size < len(own) or len(own) == 1


def test_prefixes_are_as_likely_to_end_anywhere():
    made = (
        PrefixConfig()
        .build()
        .prepare(
            {"tokens": np.zeros((4000, 9), int), "documents": np.zeros((4000, 9), int)}
            | {"positions": np.tile(np.arange(9), (4000, 1))},
            Keys(1, np.arange(4000)),
        )
    )
    found = np.bincount(made["prefix"].sum(1), minlength=10)
    assert found[[0, 9]].sum() == 0 and found[1:9] == pytest.approx([500] * 8, abs=90)


def test_the_loss_is_that_of_the_formula():
    network, given_ = lively("llama"), example()
    total, count, _ = losses(network, given_)
    tokens, documents, prefix = given_["tokens"], given_["documents"], given_["prefix"]
    wanted = terms = 0.0
    for row in range(4):
        for number in documents[row].unique().tolist():
            own = documents[row, :-1] == number
            ids, size = tokens[row, :-1][own], int(prefix[row, :-1][own].sum())
            seen = torch.arange(len(ids))[None] <= torch.arange(len(ids))[:, None].clamp(min=size - 1)
            rows = network.backbone(  # the same sight, written out: documents alone, and a mask of our own
                network.embed(ids[None], torch.arange(len(ids))[None]),
                torch.arange(len(ids))[None],
                _Written(seen[None]),
            ).hidden
            after = (documents[row, 1:] == number)[own] & ~prefix[row, 1:][own]
            nats = F.cross_entropy(network.head(rows)[0], tokens[row, 1:][own], reduction="none")
            wanted, terms = wanted + float(nats[after].detach().sum()), terms + int(after.sum())
    assert int(count) == terms
    assert float(total.detach()) == pytest.approx(wanted, rel=1e-5)


class _Written:
    """A mask that is given position by position."""

    pattern, documents, window, sources, prefix, piece = "prefix", None, None, None, None, None

    def __init__(self, seen):
        self.seen = seen

    def visible(self, queries, keys, device):
        return self.seen


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_nothing_sees_what_it_predicts_and_prefixes_see_all_of_themselves(dtype):
    network, given_ = lively("llama").use(dtype), example(documents=1)
    _, _, before = losses(network, given_)
    for row in range(4):
        inside = (given_["documents"][row, :-1] == 0).nonzero().flatten()
        size = int(given_["prefix"][row][: len(inside)].sum())
        if not 1 < size < len(inside):
            continue
        for place in (size, size - 1):
            other = {**given_, "tokens": given_["tokens"].clone()}
            other["tokens"][row, place] = (other["tokens"][row, place] + 1) % VOCABULARY
            _, _, after = losses(network, other)
            changed = (after[row, inside] != before[row, inside]).any(-1)
            assert not changed[:place].any() if place == size else changed[:size].all()


def test_the_first_loss_is_as_expected_on_real_windows():
    tokenizer, shards = trained()
    network = small("llama", width=64, heads=4, context=96).build(tokenizer.vocab_size)
    objective = PrefixConfig().build(spec(tokenizer, 96, network.config))
    items, keys = batch(shards, 97, 8)
    made = objective.prepare(items, keys) | {"examples": items["examples"]}
    given_ = {name: torch.from_numpy(array) for name, array in made.items()}
    total, count, _ = losses(network, given_)
    first = objective.expect(spec(tokenizer, 96)).first
    assert first == {"prefix": math.log(tokenizer.vocab_size)}
    assert float(total.detach() / count) == pytest.approx(first["prefix"], rel=0.05)


def test_what_is_written_follows_a_prefix_seen_from_both_sides():
    network = lively("llama", context=32)
    objective = PrefixConfig().build()
    prompt = torch.randint(0, VOCABULARY, (9,), generator=torch.Generator().manual_seed(3)).tolist()
    found = objective.generate(assemble(network, objective), prompt, 12, seed=1, temperature=0)
    whole = list(prompt)
    for token in found:
        ids = torch.tensor([[*whole, 0]])
        made = {"tokens": ids, "documents": torch.zeros_like(ids), "positions": torch.arange(ids.shape[1])[None]}
        made["prefix"] = torch.arange(ids.shape[1])[None] < len(prompt)
        _, _, hidden = losses(network, {**made, "examples": torch.zeros(1)})
        assert int(network.head(hidden)[0, -1].argmax()) == token
        whole.append(token)
    assert len(found) == 12


def test_a_network_that_looks_back_alone_is_named():
    with pytest.raises(RecipeError, match="looks back alone"):
        PrefixConfig().build(Spec(96, 48, model=small("plain").filled()))
