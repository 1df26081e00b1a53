"""Recipes of sounds at published sizes, on the meta device: the published counts, the ecosystem's names and shapes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

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
# By recipe: vocabulary, class, how many numbers that holds, and how many of them are fixed: Whisper's has the places of
# its encoder as a table.
PUBLISHED = {
    "hubert-base": (0, "HubertModel", 94_371_712, 0),
    "wav2vec2-base": (0, "Wav2Vec2ForPreTraining", 95_044_608, 0),
    "whisper-base": (51_865, "WhisperForConditionalGeneration", 72_593_920, 768_000),
}
SPECIALS = {"pad": 50_257, "eos": 50_257, "bos": 50_258}


def at_paper_size(name, monkeypatch):
    """The nets of a recipe on the meta device, and its objective."""
    monkeypatch.setattr("seedstock.objectives.hubert.Units", lambda config, spec: SimpleNamespace(folder=None))
    found = recipe.load(RECIPES / f"{name}.yaml")
    model, shapes = found.model.resolved(), {one: field.shape for one, field in found.input.fields().items()}
    size = PUBLISHED[name][0]
    spec = Spec(vocab_size=size, context=model.context, specials=SPECIALS, model=model, fields=shapes)
    objective = found.objective.build(spec)
    nets = {"network": model.build(size, device="meta")} | {
        key: one.to("meta") for key, one in objective.nets().items()
    }
    return found, torch.nn.ModuleDict(nets), objective


@pytest.mark.parametrize("name", PUBLISHED)
def test_recipes_of_published_size_have_the_counts_and_names_of_the_ecosystem(name, monkeypatch):
    found, nets, objective = at_paper_size(name, monkeypatch)
    size, wanted, count, fixed = PUBLISHED[name]
    target = map_of(objective, found.model)
    assert wanted == target.CLASS
    mapped = {key: tuple(tensor.shape) for key, tensor in target.tensors(nets, objective).items()}
    own = sum(parameter.numel() for parameter in nets["network"].parameters())
    assert total(Shape.of(found.model), size) == own
    settings = target.to_config(found.model.resolved(), objective)
    with torch.device("meta"):
        theirs = getattr(transformers, wanted)(transformers.AutoConfig.for_model(**settings))
    shapes = {key: tuple(tensor.shape) for key, tensor in theirs.state_dict().items()}
    assert sum(parameter.numel() for parameter in theirs.parameters()) == count
    assert sum(torch.Size(shape).numel() for shape in mapped.values()) == count
    tied = {"proj_out.weight"} if name == "whisper-base" else set()
    assert mapped == {key: shape for key, shape in shapes.items() if key not in tied}
    if name == "whisper-base":
        assert own == count - fixed


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_recipe_of_sounds_is_planned(name):
    found = recipe.load(RECIPES / f"{name}.yaml")
    planned = plan(found, None, hardware=DEVICES["h100"], devices=8)
    assert planned.seconds > 0 and sum(planned.parameters.values()) == total(Shape.of(found.model), planned.vocab_size)
