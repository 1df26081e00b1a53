"""Counts and work of networks over pictures: against the real ones, and against published counts."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from seedstock.models.configs.towers import TowersConfig
from seedstock.models.configs.vision import VisionConfig
from seedstock.planning import flops
from seedstock.planning.parameters import Shape, parameters, total
from seedstock.planning.size import resolve
from seedstock.training.configs.training import TrainingConfig

SIZES = {"width": 64, "layers": 3, "heads": 4, "image": 16, "patch": 4}
SHAPES = sorted(VisionConfig.PRESETS)


@st.composite
def configurations(draw):
    """Any shape with any sizes that fit together."""
    values = {"shape": draw(st.sampled_from(SHAPES)), "patch": draw(st.sampled_from([2, 4])), "image": 16}
    values |= {"width": 32 * draw(st.integers(1, 3)), "heads": draw(st.sampled_from([2, 4]))}
    values |= {"layers": draw(st.integers(1, 3)), "mlp_width": 64 * draw(st.integers(1, 3))}
    values |= {"channels": draw(st.sampled_from([1, 3])), "class_token": draw(st.sampled_from([None, True, False]))}
    return VisionConfig(**values)


@given(configurations())
def test_counts_equal_the_real_network(config):
    network, found = config.build(device="meta"), parameters(Shape.of(config), 0)
    roles = network.roles()
    by_role: dict[str, int] = {}
    for name, parameter in network.named_parameters():
        by_role[roles[name]] = by_role.get(roles[name], 0) + parameter.numel()
    assert sum(found.values()) == sum(by_role.values())
    patches, token = config.resolved().width * config.patch_values, config.resolved().width * config.class_token
    assert found["attention"] + found["mlp"] == by_role["column"] + by_role["row"] - patches
    assert found["embedding"] + found["positions"] == patches + by_role.get("embedding", 0) + token


def passed(config, images):
    network = config.build().use(torch.bfloat16)
    condition = torch.zeros(len(images), config.resolved().width) if config.conditioned else None
    return network.backbone(**network.inputs(images), condition=condition).hidden


@pytest.mark.parametrize("shape", SHAPES)
def test_flops_equal_what_torch_counts(shape):
    config, images = VisionConfig(shape=shape, **SIZES), torch.zeros(2, 16, 16, 3)
    with FlopCounterMode(display=False) as counter:
        passed(config, images)
    # Neither a class token is multiplied by the matrix of patches, nor does the condition come from the picture.
    expected = flops.forward(Shape.of(config), 0) * 2 * config.context
    expected -= 2 * 2.0 * config.resolved().width * config.patch_values * int(config.class_token)
    assert counter.get_total_flops() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", ["2M", "86M"])
def test_the_dial_reaches_any_shape_within_five_per_cent(shape, size):
    model = VisionConfig(shape=shape, size=size, image=32, patch=4)
    found, _, derived = resolve(model, TrainingConfig(steps=10), 0)
    count = sum(parameter.numel() for parameter in found.build(device="meta").parameters())
    assert abs(count / model.size - 1) <= 0.05 and derived
    assert resolve(found, TrainingConfig(steps=10), 0)[0] == found


def test_a_base_sized_vision_transformer_has_the_published_count():
    """ViT-B/16: 86,567,656 with a head of 1,000 classes (Dosovitskiy et al. 2021, as timm and torchvision have it)."""
    config = VisionConfig(width=768, layers=12, heads=12, image=224, patch=16)
    assert total(Shape.of(config), 0) + 1000 * 769 == 86_567_656


def test_towers_are_counted_together():
    config = TowersConfig(
        picture=VisionConfig(**SIZES),
        text={"kind": "decoder", "shape": "gpt2", "width": 48, "layers": 2, "heads": 4, "context": 12},
    )
    network = config.build(320, device="meta")
    assert total(Shape.of(config), 320) == sum(parameter.numel() for parameter in network.parameters())
    alone = [flops.forward(Shape.of(one), 0) * one.context for one in config.parts]
    assert flops.forward(Shape.of(config), 320) * config.context == pytest.approx(sum(alone))


def test_pictures_that_patches_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="do not divide a picture of 30"):
        VisionConfig(image=30, patch=4)


def test_counts_and_flops_of_clips_equal_the_real_network():
    config = VisionConfig(shape="videomae", frames=6, tubelet=2, **SIZES)
    assert config.context == config.patches == 3 * 16
    network = config.build().use(torch.bfloat16)
    assert total(Shape.of(config), 0) == sum(parameter.numel() for parameter in network.parameters())
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(2, 6, 16, 16, 3))
    assert counter.get_total_flops() == pytest.approx(flops.forward(Shape.of(config), 0) * 2 * 48, rel=1e-6)
