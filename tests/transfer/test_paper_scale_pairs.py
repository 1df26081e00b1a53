"""Recipes over pairs at published sizes, on the meta device: parameter counts, the ecosystem's names and shapes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers")

from seedstock import recipe
from seedstock.objectives.base import Spec, assemble
from seedstock.planning.hardware import DEVICES
from seedstock.planning.parameters import Shape, total
from seedstock.planning.plan import plan
from seedstock.transfer.items import map_of

RECIPES = Path(__file__).parents[2] / "recipes/paper"
# Published vocabulary, class and parameter count (to the precision that was published).
PUBLISHED = {
    "clip-vit-b-32": (49_408, "CLIPModel", 151_277_313),
    "siglip-base": (32_000, "SiglipModel", "203M"),
}

OWN = {"coca-base": (384_605_185, {"picture": 86, "text": 297})}
"""Of which no class of the ecosystem holds the whole: what is counted here, and millions of its parts as published."""
BETWEEN = ("joint.", "writer.patches.")
"""What brings one part's width to another's, which was published with neither."""


def built(name):
    found, (vocab_size, kind, _) = recipe.load(RECIPES / f"{name}.yaml"), PUBLISHED[name]
    model = found.model.resolved()
    specials = {name: number for number, name in enumerate(("bos", "eos", "pad"))}
    size, caption = found.input.size, found.input.caption
    fields = {"image": (size, size, 3), "tokens": (caption,)}
    spec = Spec(vocab_size=vocab_size, context=model.context, specials=specials, model=model, fields=fields)
    objective = found.objective.build(spec)
    nets = assemble(model.build(vocab_size, device="meta"), objective).to("meta")
    target = map_of(objective, model)
    assert kind == target.CLASS
    return found, nets, objective, target


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_model_of_pairs_has_the_published_count_and_the_ecosystems_names(name):
    import transformers

    found, nets, objective, target = built(name)
    published, count = PUBLISHED[name][2], sum(one.numel() for one in nets.parameters())
    assert count == published if isinstance(published, int) else round(count / 10**6) == int(published[:-1])
    own = sum(one.numel() for one in nets["network"].parameters())
    assert own == total(Shape.of(found.model), PUBLISHED[name][0])
    settings = target.to_config(nets["network"].config, objective)
    with torch.device("meta"):
        theirs = getattr(transformers, target.CLASS)(transformers.AutoConfig.for_model(**settings))
    shapes = {key: tuple(one.shape) for key, one in theirs.state_dict().items() if not key.endswith("position_ids")}
    assert {key: tuple(one.shape) for key, one in target.tensors(nets, objective).items()} == shapes


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_model_of_pairs_is_planned(name):
    found = recipe.load(RECIPES / f"{name}.yaml")
    planned = plan(found, None, hardware=DEVICES["h100"], devices=8)
    assert planned.seconds > 0 and planned.vocab_size == PUBLISHED[name][0]


@pytest.mark.parametrize("name", OWN)
def test_a_captioner_has_its_count(name):
    found = recipe.load(RECIPES / f"{name}.yaml")
    model, (size, caption) = found.model.resolved(), (found.input.size, found.input.caption)
    specials = {one: number for number, one in enumerate(("bos", "eos", "pad"))}
    fields, words = {"image": (size, size, 3), "tokens": (caption,)}, found.tokenizer.vocab_size
    spec = Spec(vocab_size=words, context=model.context, specials=specials, model=model, fields=fields)
    nets = assemble(model.build(words, device="meta"), found.objective.build(spec)).to("meta")
    count, published = OWN[name]
    assert sum(one.numel() for one in nets.parameters()) == count
    parts = dict.fromkeys(published, 0)
    for key, one in nets.named_parameters():
        if not key.startswith(BETWEEN):
            parts["picture" if key.startswith("network.picture.") else "text"] += one.numel()
    assert {part: round(found / 10**6) for part, found in parts.items()} == published
    assert sum(one.numel() for one in nets["network"].parameters()) == total(Shape.of(found.model), words)
