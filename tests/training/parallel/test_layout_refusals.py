"""Layouts that do not fit are refused by name, before anything starts."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

from seedstock.errors import RecipeError
from seedstock.models.configs.decoder import DecoderConfig
from seedstock.models.configs.encoder_decoder import EncoderDecoderConfig
from seedstock.models.configs.towers import TowersConfig
from seedstock.models.configs.vision import VisionConfig
from seedstock.training import fit
from seedstock.training.configs.parallel import Degrees, ParallelConfig, check
from seedstock.training.configs.training import TrainingConfig
from seedstock.training.parallel import pipeline

SIZES: dict[str, Any] = {"width": 32, "layers": 4, "heads": 4, "context": 16}
DECODER = DecoderConfig(shape="llama", **SIZES)
PICTURES = VisionConfig(width=32, layers=4, heads=4, class_token=False)
PAIRS = TowersConfig(
    picture=VisionConfig(shape="clip", width=32, layers=2, heads=2), text=DecoderConfig(shape="gpt2", **SIZES)
)
ZERO_BUBBLE = {"pipeline": 2, "schedule": "zero-bubble"}
MIXTURE = DecoderConfig(shape="qwen3", experts=4, experts_per_token=2, expert_width=32, **SIZES)


@pytest.mark.parametrize(
    ("layout", "model", "by_position", "told"),
    [
        ({"context": 3}, DECODER, True, "model.context is 16, which context 3 does not divide"),
        ({"context": 2}, DECODER, False, "whose losses are not sums over positions alone"),
        ({"context": 2}, PICTURES, True, "a model of kind vision"),
        ({"pipeline": 2}, PICTURES, True, "a model of kind vision"),
        ({"context": 2}, EncoderDecoderConfig(shape="t5", **SIZES), True, "reads another sequence"),
        ({"context": 2}, DecoderConfig(shape="llama", convolution=3, **SIZES), True, "convolutions over positions"),
        ({"expert": 2}, DECODER, True, "a model without experts cannot be laid out over expert 2"),
        ({"expert": 3}, MIXTURE, True, "model.experts is 4, which expert 3 does not divide"),
        ({"expert": 2, "shard": 3}, MIXTURE, True, "training.parallel.shard is 3, which expert 2 does not divide"),
        ({"tensor": 4}, PAIRS, True, "model.picture.heads is 2, which tensor 4 does not divide"),
        ({"pipeline": 8}, DECODER, True, "a model of 4 layers, fewer than the 8 stages, cannot be laid out"),
        ({"pipeline": 4, "schedule": "interleaved"}, DECODER, True, "fewer than the 8 stages"),
        ({"pipeline": 2, "shard": 2, "schedule": "zero-bubble"}, DECODER, True, "under the zero-bubble schedule"),
        ({"pipeline": 2}, EncoderDecoderConfig(shape="t5", **SIZES), True, "reads another sequence"),
        ({"pipeline": 2}, DECODER, False, "an objective with heads of its own"),
        ({"pipeline": 2, "tensor": 2}, DECODER, True, "pipeline × tensor is not a layout"),
        ({"context": 2, "data": 2, "tensor": 2}, DECODER, True, "context × data × tensor is not a layout"),
        ({"context": 2, "data": 2, "expert": 2}, MIXTURE, True, "context × data × expert × shard is not a layout"),
    ],
)
def test_what_does_not_fit_is_named(layout: dict[str, Any], model: Any, by_position: bool, told: str) -> None:
    ranks = math.prod(({"shard": layout.get("expert", 1)} | layout | {"expert": 1, "schedule": 1}).values())
    with pytest.raises(RecipeError, match=told):
        check(ParallelConfig(**layout), ranks, model=model.resolved(), examples=64, by_position=by_position)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"optimizer": {"kind": "adamw", "layer_decay": 0.9}}, "training.optimizer.layer_decay looks at all layers"),
        ({"recompute": "full", "parallel": ZERO_BUBBLE}, "two halves, which training.recompute does not allow"),
        ({"compile": True, "parallel": ZERO_BUBBLE}, "two halves, which training.compile does not allow"),
        ({"groups": {"*.bias": {"kind": "adamw"}}}, "training.groups looks at all layers"),
        ({"locked": ("network.embedding.*",)}, "training.locked looks at all layers"),
    ],
)
def test_stages_refuse_what_does_not_go_with_them(changes: dict[str, Any], told: str) -> None:
    config = TrainingConfig(**{"parallel": {"pipeline": 2}, **changes})
    world: Any = SimpleNamespace(alone=False, size=2, degrees=Degrees(pipeline=2))
    with pytest.raises(RecipeError, match=told):
        fit._check(config, world, SimpleNamespace(config=DECODER.resolved()), SimpleNamespace(by_position=True))  # type: ignore[arg-type]


def test_compilation_is_refused_where_it_cannot_be() -> None:
    config = TrainingConfig(parallel=ParallelConfig(tensor=2), recompute="full", compile=True)
    world: Any = SimpleNamespace(alone=False, size=2, degrees=Degrees(tensor=2))
    with pytest.raises(
        RecipeError, match=r"under tensor, recompute: full works blocks out again, which training\.compile"
    ):
        fit._check(config, world, SimpleNamespace(config=DECODER.resolved()), SimpleNamespace(by_position=True))  # type: ignore[arg-type]
    assert not any(fit._against_compilation(config.model_copy(update={"recompute": "selective"}), world.degrees))


def test_zero_bubble_is_refused_where_torch_counts_gradients_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "SPLIT_BACKWARD", False)
    with pytest.raises(RecipeError, match=r"the zero-bubble schedule of torch .* gives wrong gradients or none"):
        pipeline.Pipeline(None, None, "zero-bubble")  # type: ignore[arg-type]
