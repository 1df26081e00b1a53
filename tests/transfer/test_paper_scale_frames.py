"""Recipes of clips and episodes at published sizes, on the meta device: counts, the ecosystem's names and shapes."""

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

transformers = pytest.importorskip("transformers")

RECIPES = Path(__file__).parents[2] / "recipes/paper"
# By recipe: class, beginning of the names of its encoder, how many numbers that has, and how many more ours has: biases
# of keys, which change nothing. The paper says 86.2 M.
PUBLISHED = {
    "videomae-base": ("VideoMAEForPreTraining", "videomae.", 86_227_200, 12 * 768),
    "decision-transformer-gym": ("DecisionTransformerModel", ("encoder.h.", "encoder.ln_f.", "embed_"), 725_632, 0),
}


def at_paper_size(name):
    """The nets of a recipe on the meta device, and its objective."""
    found = recipe.load(RECIPES / f"{name}.yaml")
    model, shapes = found.model.resolved(), {one: field.shape for one, field in found.input.fields().items()}
    objective = found.objective.build(Spec(vocab_size=0, context=model.context, model=model, fields=shapes))
    nets = {"network": model.build(device="meta")} | {key: one.to("meta") for key, one in objective.nets().items()}
    return found, torch.nn.ModuleDict(nets), objective


@pytest.mark.parametrize("name", PUBLISHED)
def test_clips_and_episodes_of_published_size_have_the_counts_and_names_of_the_ecosystem(name):
    found, nets, objective = at_paper_size(name)
    wanted, encoder, count, more = PUBLISHED[name]
    target = map_of(objective, found.model)
    assert wanted == target.CLASS
    with torch.device("meta"):
        mapped = {key: tuple(tensor.shape) for key, tensor in target.tensors(nets, objective).items()}
        settings = target.to_config(found.model.resolved(), objective)
        theirs = getattr(transformers, wanted)(transformers.AutoConfig.for_model(**settings))
    assert mapped == {key: tuple(tensor.shape) for key, tensor in theirs.state_dict().items()}
    of_encoder = sum(one.numel() for key, one in theirs.named_parameters() if key.startswith(encoder))
    own = sum(parameter.numel() for parameter in nets["network"].parameters())
    assert of_encoder == count == own - more
    assert total(Shape.of(found.model), 0) == own


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_recipe_of_clips_or_episodes_is_planned(name):
    found = recipe.load(RECIPES / f"{name}.yaml")
    planned = plan(found, None, hardware=DEVICES["h100"], devices=8)
    assert planned.seconds > 0 and sum(planned.parameters.values()) == total(Shape.of(found.model), planned.vocab_size)
