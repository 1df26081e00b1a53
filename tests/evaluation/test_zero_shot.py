"""Classes by prompts: the nearest one wins, and several prompts of a class stand for it together."""

from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

from seedstock.evaluation.zero_shot import zero_shot

COLOURS = {"red": (200, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 200)}


class Letters:
    def __init__(self):
        self.specials = {"pad": 0, "bos": 1, "eos": 2}

    def encode(self, text):
        return [ord(one) for one in text]


class Knows:
    """Vectors of pictures are their mean colours, of texts those of the colours that they name."""

    def features(self, nets, batch):
        return nn.functional.normalize(batch["image"].float().mean((1, 2)), dim=-1)

    def described(self, nets, tokens):
        texts = ["".join(chr(one) for one in row if one > 2) for row in tokens.tolist()]
        found = [sum(torch.tensor(COLOURS[name]).float() for name in COLOURS if name in text) for text in texts]
        return nn.functional.normalize(torch.stack(found), dim=-1)


def model():
    network = nn.Linear(1, 1)
    network.config = SimpleNamespace(text=SimpleNamespace(context=24))
    return nn.ModuleDict({"network": network})


def test_a_picture_is_of_the_class_whose_prompts_are_near():
    rng, names = np.random.default_rng(1), [*COLOURS] * 50
    images = np.stack([np.array(COLOURS[name]) + rng.integers(-15, 15, (4, 4, 3)) for name in names])
    prompts = {name: [f"a {name} square", f"{name} all over"] for name in COLOURS}
    nets = model().train()
    found = zero_shot(nets, Knows(), images.clip(0, 255).astype(np.uint8), prompts, Letters(), batch=64)
    assert found == names and nets.training


def test_prompts_of_a_class_are_averaged():
    image = np.full((1, 4, 4, 3), 0, np.uint8)
    image[..., :2] = 110  # between red and green
    prompts = {"both": ["red", "green"], "red": ["red"], "blue": ["blue", "green"]}
    assert zero_shot(model(), Knows(), image, prompts, Letters()) == ["both"]
    assert zero_shot(model(), Knows(), image[:0], prompts, Letters()) == []
