"""Recipes at published sizes, on the meta device: the published parameter count, the ecosystem's names and shapes."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers")

from seedstock import recipe
from seedstock.objectives.masked import NextSentence
from seedstock.planning.hardware import DEVICES
from seedstock.planning.parameters import Shape, total
from seedstock.planning.plan import plan, vocabulary
from seedstock.transfer.maps import find, rules
from seedstock.transfer.tensors import outward

RECIPES = Path(__file__).parents[2] / "recipes/paper"
# Published vocabulary, class and parameter count (to the precision that was published).
PUBLISHED = {
    "bert-base": (30_522, "BertForPreTraining", 110_106_428),
    "bert-large": (30_522, "BertForPreTraining", 336_226_108),
    "modernbert-base": (50_368, "ModernBertForMaskedLM", "149M"),
    "modernbert-large": (50_368, "ModernBertForMaskedLM", "395M"),
    "esm2-8m": (33, "EsmForMaskedLM", "8M"),
    "esm2-650m": (33, "EsmForMaskedLM", "650M"),
    "t5-base": (32_128, "T5ForConditionalGeneration", 222_903_552),
    "t5-v1.1-base": (32_128, "T5ForConditionalGeneration", 247_577_856),
    "bart-base": (50_265, "BartForConditionalGeneration", 139_420_416),
    "bart-large": (50_265, "BartForConditionalGeneration", 406_291_456),
    "gpt2": (50_257, "GPT2LMHeadModel", 124_439_808),
    "distilgpt2": (50_257, "GPT2LMHeadModel", 81_912_576),
    "codellama-7b": (32_016, "LlamaForCausalLM", 6_738_546_688),
    "llada-8b": (126_464, "LlamaForCausalLM", "8020M"),
    "llama3-8b": (128_256, "LlamaForCausalLM", 8_030_261_248),
    "qwen3-0.6b": (151_936, "Qwen3ForCausalLM", 596_049_920),
    "qwen3-30b-a3b": (151_936, "Qwen3MoeForCausalLM", 30_532_122_624),
    "chameleon-7b": (65_536, "LlamaForCausalLM", 7_013_142_528),
    "mixtral-8x7b": (32_000, "MixtralForCausalLM", 46_702_792_704),
}
# Sizes of papers whose networks have parts that the class has not: the count is the class's.
PUBLISHED |= {
    "gato-1b": (33_024, "GPT2LMHeadModel", 1_278_332_928),
    "codec-language-300m": (8_192 + 4 * 1024, "LlamaForCausalLM", 328_778_752),
}


def test_every_recipe_is_held_to_what_was_published():
    import test_paper_scale_autoencoders as autoencoders
    import test_paper_scale_codecs as codecs
    import test_paper_scale_frames as frames
    import test_paper_scale_pairs as pairs
    import test_paper_scale_pictures as pictures
    import test_paper_scale_sounds as sounds

    here = PUBLISHED.keys() | autoencoders.PUBLISHED.keys() | codecs.PUBLISHED.keys()
    known = here | pairs.PUBLISHED.keys() | sounds.PUBLISHED.keys() | frames.PUBLISHED.keys()
    assert {path.stem for path in RECIPES.glob("*.yaml")} == known | pictures.PUBLISHED.keys() | pairs.OWN.keys()


def built(name):
    """The network of a recipe with the published vocabulary, and its tensors under the ecosystem's names."""
    config = recipe.load(RECIPES / f"{name}.yaml").model
    vocab_size, wanted, _ = PUBLISHED[name]
    network = config.build(vocab_size, device="meta")
    ours = dict(network.state_dict())
    if wanted == "BertForPreTraining":
        head = NextSentence(network.config.width, 1).to("meta")
        ours |= {f"next_sentence.{key}": tensor for key, tensor in head.state_dict().items()}
    target = find(config.export_class)
    assert (target.class_of(set(ours)) if hasattr(target, "class_of") else target.CLASS) == wanted
    return network, ours, target, outward(ours, rules(target, network.config))


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_parameter_count_is_the_published_one(name):
    network, ours, _, mapped = built(name)
    published = PUBLISHED[name][2]
    buffers = {key for key, _ in network.named_buffers()}
    count = sum(tensor.numel() for key, tensor in ours.items() if key not in buffers)
    if isinstance(published, int):
        assert count == published
    else:
        unit = 10**6
        assert abs(count / unit - int(published[:-1])) < max(0.7, 0.003 * int(published[:-1]))
    own = sum(tensor.numel() for tensor in network.parameters())
    assert total(Shape.of(network.config), PUBLISHED[name][0]) == own
    if name == "bert-base":  # the class without heads, as it is usually counted
        assert sum(tensor.numel() for key, tensor in mapped.items() if key.startswith("bert.")) == 109_482_240


def held_together(mapped):
    """Shapes by name, experts as the classes hold them once they have read files in which each is by itself."""
    shapes, experts = {}, {}
    for key, tensor in mapped.items():
        found = re.fullmatch(r"(.*)\.(?:mlp|block_sparse_moe)\.experts\.\d+\.(\w+)\.weight", key)
        if not found:
            shapes[key.replace(".block_sparse_moe.", ".mlp.")] = tuple(tensor.shape)
            continue
        part = "down_proj" if found[2] in ("down_proj", "w2") else "gate_up_proj"
        experts.setdefault((f"{found[1]}.mlp.experts.{part}", part), []).append(tuple(tensor.shape))
    for (key, part), each in experts.items():
        assert len(set(each)) == 1
        (rows, columns), count = each[0], len(each)
        shapes[key] = (count, rows, columns) if part == "down_proj" else (count // 2, 2 * rows, columns)
    return shapes


@pytest.mark.parametrize("name", PUBLISHED)
def test_names_and_shapes_are_those_of_the_ecosystem(name):
    network, _, target, mapped = built(name)
    vocab_size, wanted, _ = PUBLISHED[name]
    import transformers

    settings = target.to_config(network.config, vocab_size)
    known = {key: None for key in ("pad_token_id",) if key not in settings}  # its default may lie outside
    with torch.device("meta"):
        theirs = getattr(transformers, wanted)(transformers.AutoConfig.for_model(**settings, **known))
    mapped = held_together(mapped)
    shapes = {key: tuple(tensor.shape) for key, tensor in theirs.state_dict().items()}
    tied = set(theirs._tied_weights_keys or ())
    assert {key: shapes.get(key) for key in mapped} == mapped
    left = {key for key in shapes.keys() - mapped.keys() if key not in tied}
    assert not [key for key in left if not any(fnmatchcase(key, pattern) for pattern in getattr(target, "DERIVED", ()))]


@pytest.mark.parametrize("name", PUBLISHED)
def test_it_is_planned(name):
    found = recipe.load(RECIPES / f"{name}.yaml")
    planned = plan(found, 64 if found.tokenizer.kind == "characters" else None, hardware=DEVICES["h100"], devices=8)
    padded = -(-PUBLISHED[name][0] // 64) * 64
    assert planned.vocab_size == padded and (
        found.tokenizer.kind == "characters" or vocabulary(found.tokenizer) == padded
    )
    assert planned.seconds > 0 and sum(planned.parameters.values()) == total(Shape.of(found.model), padded)
