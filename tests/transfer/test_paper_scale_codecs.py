"""Codecs at published sizes, on the meta device: parameter counts, the ecosystem's names and shapes."""

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
# Parameters of the class, without the codebooks, which are buffers there.
PUBLISHED = {"encodec-24khz": ("EncodecModel", 14_851_810)}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_codec_has_the_published_count_and_the_names_of_the_ecosystem(name):
    found, (kind, count) = recipe.load(RECIPES / f"{name}.yaml"), PUBLISHED[name]
    shapes = {one: field.shape for one, field in found.input.fields().items()}
    spec = Spec(vocab_size=0, context=found.model.context, model=found.model, fields=shapes)
    objective, network = found.objective.build(spec), found.model.build(device="meta")
    own = sum(one.numel() for one in network.parameters())
    books = found.model.books * found.model.codes * found.model.latent
    assert own == count + books == total(Shape.of(found.model), 0)
    target = map_of(objective, found.model)
    assert kind == target.CLASS
    with torch.device("meta"):
        theirs = getattr(transformers, kind)(transformers.EncodecConfig(**target.to_config(found.model, objective)))
    assert sum(one.numel() for one in theirs.parameters()) == count
    ours = target.tensors({"network": network}, objective)
    assert {key: one.shape for key, one in ours.items()} == {key: one.shape for key, one in theirs.state_dict().items()}
    assert theirs.config.target_bandwidths[1:] == [1.5, 3.0, 6.0, 12.0, 24.0], "the paper's, table 1"


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_codec_is_planned(name):
    planned = plan(recipe.load(RECIPES / f"{name}.yaml"), None, hardware=DEVICES["h100"], devices=8)
    assert sum(planned.parameters.values()) == 19_046_114 and planned.flops > 1e17
