"""The scale of the cosines between pictures and captions: where it begins, and that it stays below its limit."""

import math

import pytest
import torch
from conformance_pictures import CAPTIONS, VISION

from seedstock.errors import SeedstockError
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.models.configs.towers import TowersConfig
from seedstock.models.configs.vision import VisionConfig
from seedstock.objectives.base import Spec
from seedstock.objectives.configs.contrastive import ContrastiveConfig


def joint_of(shape="clip", **given):
    towers = {"picture": VisionConfig(shape=shape, **VISION), "text": DecoderConfig(shape="gpt2", **CAPTIONS)}
    spec = Spec(vocab_size=32, context=12, model=TowersConfig(shape=shape, **towers).resolved(), batch=8)
    objective = ContrastiveConfig(embedding=8, **given).build()
    objective.spec = spec
    return objective, torch.nn.ModuleDict(objective.nets())


@pytest.mark.parametrize(
    ("given", "begins"),
    [({}, 1 / 0.07), ({"scale_limit": 5}, 5), ({"scale_limit": 50}, 1 / 0.07)]
    + [({"shape": "siglip", "loss": "sigmoid", "scale_limit": one}, min(one, 10)) for one in (4, 20)],
)
def test_it_begins_as_published_or_at_its_limit(given, begins):
    _, nets = joint_of(**given)
    assert nets["joint"].scale.exp().item() == pytest.approx(begins, rel=1e-5)


@pytest.mark.parametrize("limit", [5.0, 100.0])
def test_it_stays_below_its_limit(limit):
    objective, nets = joint_of(scale_limit=limit)
    with torch.no_grad():
        nets["joint"].scale.fill_(math.log(limit) + 1)
    vectors = torch.nn.functional.normalize(torch.randn(6, 8, generator=torch.Generator().manual_seed(1)), dim=1)
    represented = {"picture": vectors, "text": vectors.roll(1, 0), "present": torch.ones(6)}
    represented["marks"] = torch.arange(12.0).view(6, 2)
    above = objective.couple(nets, represented)[0]["pair"]
    objective.after_step(nets, 6)
    assert nets["joint"].scale.exp().item() == pytest.approx(limit, rel=1e-5)
    assert torch.isclose(objective.couple(nets, represented)[0]["pair"], above, rtol=1e-5)


@pytest.mark.parametrize("limit", [0.5, 101, -1, "much"])
def test_limits_that_make_no_sense_are_refused(limit):
    from seedstock import recipe

    with pytest.raises(SeedstockError, match="scale_limit"):
        recipe.parse(f"name: x\nobjective: {{kind: contrastive, scale_limit: {limit}}}\n")
