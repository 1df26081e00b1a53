"""Recipes of pictures at published sizes, on the meta device: the published counts, the names of the ecosystem."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers")

from seedstock import recipe
from seedstock.models.configs.vision import VisionConfig
from seedstock.objectives.base import Spec, assemble
from seedstock.planning.hardware import DEVICES
from seedstock.planning.parameters import Shape, total
from seedstock.planning.plan import plan
from seedstock.transfer.items import map_of

RECIPES = Path(__file__).parents[2] / "recipes/paper"
# By recipe: class, published count, and how much of that is not trained here: fixed places, and of DiT-XL/2 the outputs
# for the noise's variance.
PUBLISHED = {
    "mae-vit-b-16": ("ViTMAEForPreTraining", 111_907_840, 197 * (768 + 512)),
    "simclr-vit-b-16": ("ViTModel", 85_798_656, 0),
    "byol-vit-b-16": ("ViTModel", 85_798_656, 0),
    "denoising-vit-b-16": ("ViTModel", 85_798_656, 0),
    "rotation-vit-s-16": ("ViTModel", 21_665_664, 0),
    "dino-vit-s-16": ("Dinov2Model", 21_665_664, 0),
    "dinov2-vit-l-16": ("Dinov2Model", 303_301_632, 0),
    "ijepa-vit-h-14": ("IJepaModel", 630_762_240, 256 * 1280),
    "dit-xl-2": ("DiTTransformer2DModel", 675_129_632, 256 * 1152 + 16 * (1152 + 1)),
}
WHOLE = ("mae-vit-b-16", "dit-xl-2")
"""Whose count is of all that is trained, not of the network alone."""


def at_paper_size(name, monkeypatch):
    """The nets of a recipe on the meta device, teachers and all, and its objective."""
    built = VisionConfig.build
    monkeypatch.setattr(
        VisionConfig, "build", lambda self, size=0, seed=1, device="meta": built(self, size, seed, "meta")
    )
    found = recipe.load(RECIPES / f"{name}.yaml")
    model, size = found.model.resolved(), found.input.size
    parents = {one: recipe.load(RECIPES / "kl-f8.yaml").model.build(device="meta") for one in found.objective.parents()}
    labels = tuple(map(str, range(1000))) if found.input.label else ()
    spec = Spec(vocab_size=0, context=model.context, model=model, fields={"image": (size, size, 3)}, labels=labels)
    objective = found.objective.build(Spec(**{**vars(spec), "models": parents}))
    return found, assemble(model.build(), objective).to("meta"), objective


@pytest.mark.parametrize("name", PUBLISHED)
def test_recipes_of_pictures_have_the_published_count_and_the_ecosystems_names(name, monkeypatch):
    found, nets, objective = at_paper_size(name, monkeypatch)
    (kind, count, fixed), model = PUBLISHED[name], found.model.resolved()
    own = sum(one.numel() for one in nets["network"].parameters())
    assert own == total(Shape.of(found.model), 0)
    assert count - fixed == (sum(one.numel() for one in nets.parameters()) if name in WHOLE else own)
    target = map_of(objective, found.model)
    assert kind == target.CLASS
    settings, library = target.to_config(model, objective), importlib.import_module(target.LIBRARY)
    more = {} if kind in ("ViTMAEForPreTraining", "Dinov2Model") else {"add_pooling_layer": False}
    with torch.device("meta"):
        ours = {key: tuple(one.shape) for key, one in target.tensors(nets, objective).items()}
        if target.LIBRARY == "diffusers":
            theirs = getattr(library, kind)(**{key: one for key, one in settings.items() if key != "_class_name"})
        else:
            theirs = getattr(library, kind)(library.AutoConfig.for_model(**settings), **more)
    assert ours == {key: tuple(one.shape) for key, one in theirs.state_dict().items()}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_recipe_of_pictures_is_planned(name):
    found = recipe.load(RECIPES / f"{name}.yaml")
    planned = plan(found, None, hardware=DEVICES["h100"], devices=8)
    assert planned.seconds > 0 and sum(planned.parameters.values()) == total(Shape.of(found.model), 0)
