"""Diffusion over pictures: the walks from noise undo what is exactly known, and samples obey class and seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conformance import Made
from conformance_families import FAMILIES

from seedstock.errors import RecipeError
from seedstock.models.configs.vision import VisionConfig
from seedstock.objectives import noise
from seedstock.objectives.base import Spec
from seedstock.objectives.configs.image_diffusion import ImageDiffusionConfig


@pytest.mark.parametrize("process", ["flow", "ddpm"])
def test_who_knows_the_picture_walks_back_to_it(process):
    """With the exact prediction of one picture, every walk from noise ends in it."""
    way = noise.PROCESSES[process]()
    picture = torch.rand(1, 8, 8, 3, generator=torch.Generator().manual_seed(1)) * 2 - 1

    def predict(x, t):
        if process == "flow":
            return (x - picture) / t[:, None, None, None]
        share = noise.kept().float()[way.time(t).long()][:, None, None, None]
        return (x - share.sqrt() * picture) / (1 - share).sqrt()

    start = torch.randn(4, 8, 8, 3, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(way.walk(predict, start, 25), picture.expand(4, -1, -1, -1), rtol=0, atol=2e-3)


def test_a_guess_beyond_all_pixels_leaves_the_noise_what_it_was():
    """Guidance exaggerates. Whoever guesses 5 where 1 is the most walks to 1, along the noise that it began with."""
    way, met = noise.PROCESSES["ddpm"](), []

    def predict(x, t):
        share = noise.kept().float()[way.time(t).long()][:, None, None, None]
        met.append((x - share.sqrt()) / (1 - share).sqrt())
        return (x - share.sqrt() * 5) / (1 - share).sqrt()

    start = torch.randn(2, 8, 8, 1, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(way.walk(predict, start, 25), torch.ones_like(start), rtol=0, atol=1e-4)
    assert max(float((one - met[0]).abs().max()) for one in met) < 1e-3


@pytest.mark.parametrize("process", ["flow", "ddpm"])
def test_the_best_denoiser_of_gaussian_data_gives_gaussian_data_back(process):
    """Data of deviation s: the best prediction is linear and known, and samples of it have the deviation s."""
    way, s = noise.PROCESSES[process](), 0.3

    def predict(x, t):
        t = t[:, None, None, None]
        if process == "flow":
            return x * (t - s * s * (1 - t)) / ((1 - t) ** 2 * s * s + t * t)
        share = noise.kept().float()[way.time(t).long()]
        return x * (1 - share).sqrt() / (share * s * s + 1 - share)

    start = torch.randn(64, 8, 8, 3, generator=torch.Generator().manual_seed(2))
    assert float(way.walk(predict, start, 200).std()) == pytest.approx(s, rel=0.03)


def test_normal_numbers_are_those_of_the_example():
    from seedstock.inputs.keys import Keys

    many = noise.normal(Keys(1, np.arange(6)), "noise", (4, 4))
    few = noise.normal(Keys(1, np.array([4, 2])), "noise", (4, 4))
    assert torch.equal(few, many[[4, 2]])


def test_samples_follow_the_class_and_the_seed():
    made = Made(FAMILIES["image-diffusion flow"])
    nets = made.nets(lively=True).eval()
    labels = torch.tensor([0, 1, 2, -1])
    first, again = (made.objective.sample(nets, labels, seed=3) for _ in range(2))
    assert torch.equal(first, again) and first.shape == (4, 16, 16, 3) and float(first.abs().max()) <= 1
    assert not torch.equal(made.objective.sample(nets, labels, seed=4), first)
    others = made.objective.sample(nets, torch.tensor([3, 1, 2, -1]), seed=3)
    assert not torch.equal(others[0], first[0]) and torch.allclose(others[1:], first[1:], atol=1e-5)


def test_a_model_without_a_condition_is_refused():
    model = VisionConfig(shape="vit", width=32, layers=1, heads=2, image=16, patch=4).resolved()
    spec = Spec(vocab_size=0, context=model.context, model=model, fields={"image": (16, 16, 3)}, labels=("a",))
    with pytest.raises(RecipeError, match="cannot be told the time"):
        ImageDiffusionConfig().build(spec)
