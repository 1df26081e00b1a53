"""A network of parts whose picture tower begins from a run over pictures alone, locked (Zhai et al. 2022, LiT)."""

import json

import pytest
import torch
from drawn_pairs import RECIPE, write

from seedstock import answers, pipeline, recipe, weights
from seedstock.errors import RecipeError
from seedstock.runs import Run

PARENT = """\
name: eyes
seed: 3
sources:
  - {{name: drawn, kind: image-text, path: {path}, fields: {{text: captions}}, languages: [en], licence: CC0-1.0}}
corpus: {{policy: none, dedup: null, held_out: 20 %}}
mixture: {{max_repeats: null}}
input: {{kind: images, size: 16}}
model: {{kind: vision, shape: clip, image: 16, patch: 4, width: 32, layers: 1, heads: 2}}
objective: {{kind: simclr, hidden: 16, outputs: 8}}
training:
  {{steps: 4, batch_examples: 16, checkpoint_every: 2, precision: fp32, threads: 1, micro_batch: 16, compile: false}}
"""
OBJECTIVE = "{kind: contrastive, embedding: 16, smallest: 60 %, jitter: 0.2}"


def parsed(folder, *changes, name="child", start="{picture: 'run:eyes@4'}", locked="['network.picture.*']"):
    text = RECIPE.format(path=folder / "drawn.tar", shape="clip", objective=OBJECTIVE)
    text = text.replace("name: drawn", f"name: {name}", 1)
    text = text.replace("{steps: 6,", f"{{start: {start}, locked: {locked}, steps: 6,")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return recipe.parse(text)


@pytest.fixture(scope="module")
def eyes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("towers")
    write(folder / "drawn.tar")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEEDSTOCK_KEY", "5e" * 32)
        given = recipe.parse(PARENT.format(path=folder / "drawn.tar"))
        yield folder, pipeline.run(given, runs=folder / "runs", until="training")


@pytest.fixture(scope="module")
def child(eyes):
    return pipeline.run(parsed(eyes[0]), runs=eyes[1].runs)


def test_the_locked_tower_is_its_parents_to_the_bit(eyes, child):
    theirs, ours = weights.load(eyes[1], 4)[0].state_dict(), weights.load(child)[0]
    found = ours.picture.state_dict()
    assert found.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in found.items())
    fresh = child.recipe.model.build(child.vocab_size, child.recipe.seed).text.state_dict()
    assert any(not torch.equal(tensor, fresh[name]) for name, tensor in ours.text.state_dict().items())


def test_the_parent_is_on_record_and_followed(eyes, child):
    parents = child.chain.last("parents")["runs"]
    assert parents["run:eyes@4"]["run"] == "eyes" and parents["run:eyes@4"]["step"] == 4
    assert answers.verify(child)["problems"] == []
    document = next(iter(eyes[1].corpus.texts("train"))).to_pylist()[0]["id"]
    assert "child" in json.dumps(answers.documents(eyes[1], document=document.hex()), default=str)
    card = (child.folder / "release/README.md").read_text()
    assert "Its part `picture` began from the weights of another run, `eyes` after step 4" in card
    assert "learned nothing in this run: `network.picture.*`." in card


@pytest.mark.parametrize(("name", "held"), [("eyes", "CLIPVisionModel"), ("child", "CLIPModel")])
def test_exports_compute_the_same_before_and_after(child, tmp_path, name, held):
    pytest.importorskip("transformers")
    report = weights.export(Run.open(child.runs, name), tmp_path / "model")
    assert report["class"] == held and report["passed"]


def test_towers_of_pairs_and_unlocked_ones_begin_too(eyes, child):
    """The picture tower of another run over pairs; its texts have another tokenizer, and do not matter."""
    start = "{picture: 'run:child', text: 'run:child'}"
    made = parsed(eyes[0], name="again", start=start, locked="[]")
    run = pipeline.run(made, runs=child.runs, until="shards")
    network, theirs = weights.build(run.recipe, run.vocab_size), weights.load(child)[0]
    weights.begin(run, network)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, theirs.state_dict()[name]), name
    other = parsed(eyes[0], ("kind: bytes", "kind: characters"), name="other", start="{picture: 'run:child'}")
    run = pipeline.run(other, runs=child.runs, until="shards")
    weights.begin(run, weights.build(run.recipe, run.vocab_size))
    both = other.model_copy(update={"training": made.training, "name": "both"})
    run = pipeline.run(both, runs=child.runs, until="shards")
    with pytest.raises(RecipeError, match="another tokenizer"):
        weights.begin(run, weights.build(run.recipe, run.vocab_size))


@pytest.mark.parametrize(
    ("name", "change", "part", "words"),
    [
        ("patch", ("patch: 4, width", "patch: 8, width"), "picture", "picture has patch 8, and run:eyes@4 has 4"),
        ("heads", ("2}\n  text", "4}\n  text"), "picture", "picture has heads 4, and run:eyes@4 has 2"),
        ("kind", None, "text", "text is of the kind decoder, and what run:eyes@4 trained of the kind vision"),
    ],
)
def test_towers_that_do_not_fit_are_refused(eyes, name, change, part, words):
    made = parsed(eyes[0], *([change] if change else []), name=name, start=f"{{{part}: 'run:eyes@4'}}", locked="[]")
    run = pipeline.run(made, runs=eyes[1].runs, until="shards")
    with pytest.raises(RecipeError, match=words) as caught:
        weights.begin(run, weights.build(run.recipe, run.vocab_size))
    assert caught.value.where == f"training.start.{part}"


@pytest.mark.parametrize("start", ["{ears: 'run:eyes'}", "{}", "{picture: eyes}"])
def test_parts_that_are_none_are_refused_before_anything_is_read(tmp_path, start):
    with pytest.raises(RecipeError, match="start"):
        parsed(tmp_path, start=start)
