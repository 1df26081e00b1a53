"""Generation is keyed, stops where it shall, and goes on past the context."""

from __future__ import annotations

import pytest
import torch
from small_networks import VOCABULARY, lively

from seedstock.errors import SeedstockError
from seedstock.models.generate import choose, generate, stream


@pytest.mark.parametrize("shape", ["qwen3", "gpt2"])
def test_greedy_text_equals_the_likeliest_token_of_a_full_pass(shape):
    network, tokens = lively(shape), [1, 2, 3]
    for token in generate(network, tokens, 12, temperature=0):
        with torch.inference_mode():
            assert token == int(network(torch.tensor([tokens]))[0, -1].argmax())
        tokens = [*tokens, token]


def test_the_seed_alone_decides():
    network, heard = lively(), []
    first = generate(network, [5], 20, seed=3, on_token=heard.append)
    assert first == heard == generate(network, [5], 20, seed=3)
    assert first[:8] == generate(network, [5], 8, seed=3)
    assert first != generate(network, [5], 20, seed=4)


def test_it_stops_and_avoids_what_is_forbidden():
    network = lively()
    free = generate(network, [5], 30, seed=1)
    assert generate(network, [5], 30, seed=1, stop={free[4]}) == free[: free.index(free[4])]
    assert free[4] not in generate(network, [5], 30, seed=1, forbidden={free[4]})


@pytest.mark.parametrize("shape", ["qwen3", "gpt2"])
def test_it_goes_on_past_the_context(shape):
    assert len(generate(lively(shape), [5] * 48, 60, seed=1)) == 60


def test_choices_follow_the_shares():
    logits = torch.tensor([0.0, 3.0, 2.0, 1.0])
    draws = [i / 1000 for i in range(1000)]
    shares = torch.softmax(logits, -1)
    counts = torch.bincount(torch.tensor([choose(logits, d) for d in draws]), minlength=4) / 1000
    assert torch.allclose(counts, shares, atol=0.01)
    assert {choose(logits, d, top_k=2) for d in draws} == {1, 2}
    assert {choose(logits, d, top_p=0.5) for d in draws} == {1}
    assert choose(logits, 0.999, temperature=0) == 1
    assert choose(logits, 1.0) == 0


def test_training_goes_on_as_it_was():
    network = lively(dropout=0.1).train()
    for _ in stream(network, [1], 3):
        assert network.training
    assert network.training


@pytest.mark.parametrize(
    ("prompt", "options", "words"),
    [
        ([], {}, "empty"),
        ([1] * 49, {}, "context is 48"),
        ([VOCABULARY], {}, "outside of the vocabulary"),
        ([1], {"temperature": -1}, "make no sense"),
        ([1], {"top_p": 0}, "make no sense"),
    ],
)
def test_what_makes_no_sense_is_refused(prompt, options, words):
    with pytest.raises(SeedstockError, match=words):
        generate(lively(), prompt, 1, **options)
