"""Retrieval between pictures and captions: on made pairs whose answers are known."""

import functools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seedstock.evaluation import captions, pairs

COLOURS = {"red": (200, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 200), "grey": (120, 120, 120)}


@given(st.integers(2, 40), st.randoms(use_true_random=False))
def test_ranks_are_those_of_the_right_ones(count, random):
    """A table whose right entry stands in a known place of every row."""
    places = [random.randrange(count) for _ in range(count)]
    table = torch.zeros(count, count)
    for row, place in enumerate(places):
        others = [column for column in range(count) if column != row]
        table[row, row] = 0.5 - place
        table[row, others] = -torch.arange(count - 1.0)
    found = pairs.scores(table, torch.eye(count, dtype=torch.bool))
    for k in pairs.RANKS:
        assert found[f"caption R@{k}"] == pytest.approx(np.mean([place < k for place in places]))


def test_what_is_told_from_nothing_is_found_by_chance():
    count = 40
    found = pairs.scores(torch.zeros(count, count), torch.eye(count, dtype=torch.bool))
    assert found["picture R@10"] == found["caption R@10"] == 0.0
    assert found["caption median rank"] == 1 + (count - 1) / 2


def test_any_of_several_right_ones_will_do():
    same = torch.block_diag(torch.ones(2, 2), torch.ones(1, 1)).bool()
    table = torch.tensor([[0.0, 3, 1], [3, 0, 1], [2, 2, 2.5]])
    assert pairs.scores(table, same)["caption R@1"] == 1.0
    assert pairs.scores(table, torch.eye(3, dtype=torch.bool))["caption R@1"] == pytest.approx(1 / 3)


def test_a_linear_map_reads_colours_and_not_what_it_never_saw():
    rng = np.random.default_rng(1)
    names = [[*COLOURS][number % 4] for number in range(160)]
    images = np.stack([np.full((8, 8, 3), COLOURS[name]) + rng.normal(0, 6, (8, 8, 3)) for name in names])
    images = images.clip(0, 255).astype(np.uint8)
    texts = [f"a {name} square" for name in names]
    table = pairs._linear(images[:156], images[156:], texts)
    assert torch.equal(table.argmax(1), torch.arange(4))
    shuffled = [f"a {name} square" for name in rng.permutation(names[:156])] + texts[156:]
    assert pairs._linear(images[:156], images[156:], shuffled).amax() < table.diagonal().amin()


class Coloured:
    """A model that knows all colours, in one language; in the other it is wrong."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def features(self, nets, batch):
        best = torch.tensor(list(COLOURS.values())).float()
        return (-torch.cdist(batch["image"].float().mean((1, 2)), best)).softmax(-1)

    def described(self, nets, tokens):
        found = torch.zeros(len(tokens), len(COLOURS))
        for row, text in enumerate(pairs.captions(tokens.numpy(), self.tokenizer)):
            language, name = text.split()
            found[row, ([*COLOURS].index(name) + (language == "de")) % len(COLOURS)] = 1
        return found


class Letters:
    def __init__(self):
        self.specials = {"pad": 0}

    def decode(self, tokens):
        return "".join(map(chr, tokens))


class Items:
    """The interface of held-out items over what is in memory."""

    class shards:
        @staticmethod
        def strata(split):
            from types import SimpleNamespace

            return [SimpleNamespace(stratum=0, language="en"), SimpleNamespace(stratum=1, language="de")]

    split = "held_out"

    def batches(self, size, prepare):
        rng = np.random.default_rng(3)
        for stratum, language in enumerate(("en", "de")):
            texts = [f"{language} {name}" for name in COLOURS]
            tokens = np.array([[ord(one) for one in text.ljust(10, "\0")] for text in texts])
            image = np.stack([np.full((4, 4, 3), value, np.uint8) for value in COLOURS.values()])
            image = image + rng.integers(0, 3, image.shape).astype(np.uint8)
            rows = {"image": image, "tokens": tokens, "present": np.array([True, True, True, language == "en"])}
            yield {**rows, "strata": np.full(4, stratum), "examples": np.arange(4)}


def test_the_nearest_pictures_are_shown_beside_the_right_one():
    nets = torch.nn.ModuleDict({"network": torch.nn.Linear(1, 1)})
    shown = pairs.nearest(nets, Coloured(Letters()), Items())
    assert shown.shape == (4, 5, 4, 4, 3)  # no more than four pictures of the language are there
    assert np.array_equal(shown[:, 0], shown[:, 1])


@given(st.text("abc", max_size=8), st.text("abc", max_size=8))
def test_edits_are_as_many_as_it_takes(one, other):
    """Against the definition, written out."""

    @functools.cache
    def least(i, j):
        if not i or not j:
            return i + j
        same = one[i - 1] == other[j - 1]
        return min(least(i - 1, j) + 1, least(i, j - 1) + 1, least(i - 1, j - 1) + (not same))

    assert captions.distance(one, other) == captions.distance(other, one) == least(len(one), len(other))


def test_captions_are_judged_beside_the_nearest_picture():
    class Writes(Coloured):
        def written(self, nets, images):
            texts = ["en red", "en green", "en blue", "de grey"][: len(images)]
            return torch.tensor([[ord(one) for one in text.ljust(10, "\0")] for text in texts])

    nets = torch.nn.ModuleDict({"network": torch.nn.Linear(1, 1)})
    found = captions.judge(nets, Writes(Letters()), Items(), Items(), Letters(), batch=4)
    assert found["en"]["model"]["exact"] == 0.75 and found["en"]["nearest"]["exact"] == 1.0
    assert found["en"]["model"]["character_error"] == pytest.approx(
        1 / len("en reden greenen blueen grey") * 2
    )  # d and e of another language


def test_languages_are_told_apart_and_erased_items_left_out():
    nets, tokenizer = torch.nn.ModuleDict({"network": torch.nn.Linear(1, 1)}), Letters()
    found = pairs.retrieval(nets, Coloured(tokenizer), Items(), Items(), tokenizer)
    assert {language: one["pairs"] for language, one in found.items()} == {"en": 4, "de": 3}
    assert found["en"]["model"]["picture R@1"] == 1.0 and found["de"]["model"]["picture R@1"] == 0.0
    assert found["en"]["chance"] == pytest.approx(0.25)


def test_what_is_shown_during_a_run_is_the_mean_over_languages():
    nets, tokenizer = torch.nn.ModuleDict({"network": torch.nn.Linear(1, 1)}), Letters()
    shown = pairs.found(nets, Coloured(tokenizer), Items())
    whole = pairs.retrieval(nets, Coloured(tokenizer), Items(), Items(), tokenizer)
    assert shown == {name: np.mean([one["model"][name] for one in whole.values()]) for name in pairs.SHOWN}


def test_the_error_beside_the_linear_map_is_of_pictures_and_not_of_captions():
    """Captions that repeat one picture's answer add nothing; independent ones add as pictures do."""
    gains = torch.tensor([[1.0], [0.0], [-1.0], [1.0]]).expand(4, len(pairs.SHARES))
    once = pairs._paired(gains, [b"a", b"b", b"c", b"d"])["picture R@1"]
    twice = pairs._paired(gains.repeat(2, 1), [b"a", b"b", b"c", b"d"] * 2)["picture R@1"]
    assert once["difference"] == twice["difference"] == 0.25
    assert once["standard_error"] == pytest.approx(gains[:, 0].std().item() / 2)
    assert twice["standard_error"] == pytest.approx(once["standard_error"])
    assert (
        pairs._paired(gains.repeat(2, 1), [*map(str.encode, "abcdefgh")])["picture R@1"]["standard_error"]
        < once["standard_error"]
    )
