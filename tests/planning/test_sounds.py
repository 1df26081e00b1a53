"""Counts and work of networks over sounds: against the real ones."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from seedstock.models.configs.audio import AudioConfig
from seedstock.models.configs.speech import SpeechConfig
from seedstock.planning import flops
from seedstock.planning.memory import Use, memory
from seedstock.planning.parameters import Shape, parameters, total
from seedstock.planning.size import resolve
from seedstock.training.configs.training import TrainingConfig

SIZES = {"width": 64, "layers": 3, "heads": 4, "channels": 32, "position_taps": 16, "position_groups": 4}


@st.composite
def configurations(draw):
    """Any sizes that fit together."""
    layers = draw(st.integers(1, 7))
    values = {"samples": draw(st.integers(3000, 6000)), "channels": draw(st.sampled_from([8, 24]))}
    values |= {"kernels": tuple(draw(st.integers(2, 8)) for _ in range(layers))}
    values |= {"strides": tuple(draw(st.integers(1, 3)) for _ in range(layers))}
    values |= {"width": 32 * draw(st.integers(1, 3)), "heads": draw(st.sampled_from([2, 4]))}
    values |= {"layers": draw(st.integers(1, 3)), "mlp_width": 64 * draw(st.integers(1, 3))}
    values |= {"position_taps": draw(st.integers(2, 33)), "position_groups": draw(st.sampled_from([1, 2, 4]))}
    return AudioConfig(**values)


@given(configurations())
@settings(deadline=None)
def test_counts_equal_the_real_network(config):
    network, found = config.build(device="meta"), parameters(Shape.of(config), 0)
    roles, by_role = network.roles(), {}
    for name, parameter in network.named_parameters():
        by_role[roles[name]] = by_role.get(roles[name], 0) + parameter.numel()
    assert sum(found.values()) == sum(by_role.values())
    assert found["attention"] + found["mlp"] + found["embedding"] == by_role["column"] + by_role["row"]
    assert found["vectors"] == by_role["vector"]


@pytest.mark.parametrize("taps", [15, 16])
def test_flops_equal_what_torch_counts(taps):
    config = AudioConfig(samples=4000, **{**SIZES, "position_taps": taps})
    network = config.build().use(torch.bfloat16)
    with FlopCounterMode(display=False) as counter:
        network(torch.randn(2, 4000))
    expected = flops.forward(Shape.of(config), 0) * 2 * config.context
    assert counter.get_total_flops() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("size", ["2M", "90M"])
def test_the_dial_reaches_any_size_within_five_per_cent(size):
    model = AudioConfig(size=size, **({"channels": 64} if size == "2M" else {}))
    found, _, derived = resolve(model, TrainingConfig(steps=10), 0)
    count = sum(parameter.numel() for parameter in found.build(device="meta").parameters())
    assert abs(count / model.size - 1) <= 0.05 and derived
    assert resolve(found, TrainingConfig(steps=10), 0)[0] == found


def test_a_base_sized_encoder_has_the_published_count():
    """HubertModel and Wav2Vec2Model of the base size: 94,371,712 (Hsu et al. 2021 say 95M)."""
    config = AudioConfig(width=768, layers=12, heads=12)
    assert total(Shape.of(config), 0) == 94_371_712


def test_activations_are_about_what_autograd_keeps():
    config, kept = AudioConfig(samples=8000, **{**SIZES, "width": 128, "mlp_width": 512}), {}
    network = config.build()

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    weights = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(torch.randn(8, 8000)).sum()
    found = sum(size for place, size in kept.items() if place not in weights)
    expected = memory(Shape.of(config), 0, Use(8, precision="fp32", device="cpu"))["activations"]
    assert 0.6 < expected / found < 1.6


def test_clips_too_short_for_two_frames_are_refused():
    with pytest.raises(ValueError, match="less than two frames"):
        AudioConfig(samples=500)


@st.composite
def speech(draw):
    """Any sizes of a network that hears and writes."""
    values = {"frames": 2 * draw(st.integers(8, 40)), "bins": draw(st.sampled_from([8, 20])), "context": 16}
    values |= {"width": 32 * draw(st.integers(1, 3)), "heads": draw(st.sampled_from([2, 4]))}
    values |= {"layers": draw(st.integers(1, 3)), "decoder_layers": draw(st.sampled_from([None, 1, 4]))}
    return SpeechConfig(mlp_width=64 * draw(st.integers(1, 3)), **values)


@given(speech())
@settings(deadline=None)
def test_counts_of_what_hears_and_writes_equal_the_real_network(config):
    network, found = config.build(320, device="meta"), parameters(Shape.of(config), 320)
    assert sum(found.values()) == sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("frames", [24, 80])
def test_flops_of_what_hears_and_writes_equal_what_torch_counts(frames):
    config = SpeechConfig(frames=frames, bins=20, context=16, width=64, layers=3, decoder_layers=2, heads=4)
    network = config.build(320).use(torch.bfloat16)
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(2, 16, dtype=torch.long), source=network.hear(torch.randn(2, frames, 20)))
    assert counter.get_total_flops() == pytest.approx(flops.forward(Shape.of(config), 320) * 32, rel=1e-6)


def test_memory_grows_with_what_is_heard():
    config = SpeechConfig(frames=24, bins=20, context=16, width=64, layers=3, heads=4)
    longer = SpeechConfig(**{**config.model_dump(), "frames": 240})
    few, many = (memory(Shape.of(one), 320, Use(8))["activations"] for one in (config, longer))
    assert 3 < many / few < 10
