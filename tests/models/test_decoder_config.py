"""What a recipe may say of a decoder, and what it is told."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError
from small_networks import SHAPES, small

from seedstock.errors import RecipeError
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.models.configs.encoder import EncoderConfig


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"heads": 6, "kv_heads": 4}, "not a multiple of kv_heads"),
        ({"width": 50, "heads": 4}, "not a multiple of heads"),
        ({"head_size": 7, "heads": 2}, "odd"),
        ({"shape": "gpt2", "position": "rope"}, "shape gpt2 has position: learned"),
        ({"shape": "gpt2", "heads": 4, "kv_heads": 2}, "no grouped-query attention"),
        ({"initialisation": "zero"}, "needs tied_embeddings: false"),
        ({"position": "learned", "rope_base": 1e4}, "no meaning with learned positions"),
        ({"dropout": 1.0}, "leaves nothing"),
        ({"widht": 3}, "did you mean 'width'"),
    ],
)
def test_nonsense_is_refused_with_the_reason(changes, words):
    with pytest.raises(ValidationError, match=words):
        DecoderConfig(**changes)


def test_a_shape_without_a_rotary_base_asks_for_one():
    with pytest.raises(ValidationError, match="need rope_base"):
        EncoderConfig(shape="bert", position="rope")
    assert EncoderConfig(shape="bert", position="rope", rope_base=1e4).filled().rope_base == 1e4


def test_filling_is_idempotent_and_keeps_what_was_given():
    for shape in SHAPES:
        full = small(shape, norm_epsilon=1e-4).filled()
        assert full.filled() == full
        assert full.norm_epsilon == 1e-4
        assert not full.missing
        assert DecoderConfig(**full.model_dump()) == full


def test_the_class_to_export_to_follows_from_the_function_not_from_the_shape_name():
    classes = {shape: small(shape).export_class for shape in SHAPES}
    assert classes == {
        "qwen3": "Qwen3ForCausalLM",
        "llama": "LlamaForCausalLM",
        "gpt2": "GPT2LMHeadModel",
        "plain": None,
    }
    assert DecoderConfig(shape="qwen3", qk_norm=False).export_class == "LlamaForCausalLM"
    assert DecoderConfig(shape="qwen3", activation="relu2").export_class is None
    assert DecoderConfig(shape="qwen3", biases=True).export_class is None
    assert DecoderConfig(shape="gpt2", width=32, heads=4, head_size=16).export_class is None


def test_sizes_that_are_missing_are_named_when_it_is_built():
    with pytest.raises(RecipeError, match="layers"):
        DecoderConfig(width=64, heads=4).build(64)


def test_configurations_do_not_import_torch():
    code = (
        "import sys, seedstock.models.configs.decoder as d, seedstock.objectives.configs.causal as c;"
        "d.DecoderConfig(width=64, layers=2, heads=4).filled().export_class; c.CausalConfig();"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
