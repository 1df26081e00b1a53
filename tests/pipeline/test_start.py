"""A run that starts from another run's weights: at a longer context, with experts, and never with what does not fit."""

from __future__ import annotations

import json

import pytest
import torch
from small_recipe import RECIPE

from seedstock import pipeline, recipe, weights
from seedstock.errors import RecipeError, SeedstockError


def _started(copied, library, name="more", until="training", **model):
    text = RECIPE.format(folder=library).replace("name: small", f"name: {name}")
    given = json.loads(recipe.parse(text).model_dump_json())["model"]
    kept = {key: value for key, value in given.items() if value is not None and key != "size"}
    text = text[: text.index("model:")] + f"model: {json.dumps({**kept, **model})}\n" + text[text.index("training:") :]
    text = text.replace("steps: 12,", "start: 'run:small@12', steps: 4,")
    return pipeline.run(recipe.parse(text), runs=copied.runs, until=until)


def test_a_longer_context_goes_on_from_the_weights(copied, library):
    scaling = {"kind": "yarn", "factor": 2, "original": 64}
    run = _started(copied, library, context=128, rope_scaling=scaling)
    assert run.steps_done == 4 and run.recipe.model.context == 128
    parent = run.chain.last("parents")["runs"]["run:small@12"]
    assert parent["run"] == "small" and parent["step"] == 12 and len(parent["manifest_sha256"]) == 64
    network = weights.build(run.recipe, run.tokenizer.vocab_size)
    weights.begin(run, network)
    theirs = weights.load(copied, 12)[0].state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in network.state_dict().items())
    trained = weights.load(run)[0].state_dict()
    moved = sum(float((trained[name] - theirs[name]).norm()) for name in theirs)
    assert 0 < moved < sum(float(tensor.norm()) for tensor in theirs.values())


def test_experts_begin_as_copies_of_the_mlp(copied, library):
    run = _started(copied, library, until="shards", shape="qwen3-moe", experts=4, expert_width=64, tied_embeddings=True)
    network = weights.build(run.recipe, run.tokenizer.vocab_size)
    weights.begin(run, network)
    dense, _ = weights.load(copied, 12)
    tokens = torch.arange(64)[None] % 512
    network.eval().to(dense.head.matrix.device)
    torch.testing.assert_close(network(tokens), dense.use(torch.float32)(tokens), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("model", "words"),
    [({"layers": 3}, "is not shaped as the one that it starts from"), ({"width": 64}, "not shaped")],
)
def test_other_sizes_are_refused(copied, library, model, words):
    with pytest.raises(RecipeError, match=words):
        _started(copied, library, **model)


def test_a_run_does_not_start_from_itself_or_from_nothing(copied, library):
    with pytest.raises(SeedstockError, match="start from itself"):
        text = (
            RECIPE.format(folder=library)
            .replace("name: small", "name: loop")
            .replace("steps: 12,", "start: 'run:loop', steps: 4,")
        )
        pipeline.run(recipe.parse(text), runs=copied.runs, until="training")
    with pytest.raises(SeedstockError, match="start"):
        recipe.parse(RECIPE.format(folder=library).replace("steps: 12,", "start: small, steps: 12,"))


def test_another_tokenizer_is_refused(copied, library):
    text = (
        RECIPE.format(folder=library)
        .replace("name: small", "name: other")
        .replace("vocab_size: 512", "vocab_size: 448")
    )
    text = text.replace("steps: 12,", "start: 'run:small', steps: 4,")
    with pytest.raises(RecipeError, match="another tokenizer") as caught:
        pipeline.run(recipe.parse(text), runs=copied.runs, until="training")
    assert caught.value.where == "training.start" and "imported" in caught.value.fix
