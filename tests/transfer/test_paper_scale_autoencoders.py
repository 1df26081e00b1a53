"""Autoencoders at published sizes, on the meta device: parameter counts, diffusers' names and shapes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from seedstock import recipe
from seedstock.objectives.base import Spec
from seedstock.planning.hardware import DEVICES
from seedstock.planning.parameters import Shape, total
from seedstock.planning.plan import plan
from seedstock.transfer.items import map_of

RECIPES = Path(__file__).parents[2] / "recipes/paper"
# Published class and parameter count.
PUBLISHED = {
    "kl-f8": ("AutoencoderKL", 83_653_863),
    "vq-f4": ("VQModel", 55_322_782),
    "vq-f8": ("VQModel", 67_717_295),
    "vq-f16": ("VQModel", 76_073_859),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_an_autoencoder_has_the_published_count_and_the_names_of_diffusers(name):
    diffusers = pytest.importorskip("diffusers")
    found, (kind, count) = recipe.load(RECIPES / f"{name}.yaml"), PUBLISHED[name]
    size = found.input.size
    spec = Spec(vocab_size=0, context=found.model.context, model=found.model, fields={"image": (size, size, 3)})
    objective = found.objective.build(spec)
    network = found.model.build(device="meta")
    assert sum(one.numel() for one in network.parameters()) == count == total(Shape.of(found.model), 0)
    target = map_of(objective, found.model)
    assert kind == target.CLASS
    settings = {key: one for key, one in target.to_config(found.model, objective).items() if key != "_class_name"}
    with torch.device("meta"):
        theirs = getattr(diffusers, kind)(**settings)
    ours = target.tensors({"network": network}, objective)
    assert {key: one.shape for key, one in ours.items()} == {key: one.shape for key, one in theirs.state_dict().items()}


@pytest.mark.parametrize("name", PUBLISHED)
def test_an_autoencoder_is_planned(name):
    planned = plan(recipe.load(RECIPES / f"{name}.yaml"), None, hardware=DEVICES["h100"], devices=8)
    assert sum(planned.parameters.values()) == PUBLISHED[name][1] and planned.flops > 1e18
