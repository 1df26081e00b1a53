"""Counts and work of convolutional autoencoders: against the real ones, and against published counts."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from seedstock.models.configs.autoencoder import AutoencoderConfig
from seedstock.planning import flops
from seedstock.planning.memory import Use, memory
from seedstock.planning.parameters import Shape, parameters, total
from seedstock.planning.size import resolve
from seedstock.training.configs.training import TrainingConfig


@st.composite
def configurations(draw):
    """Any widths and blocks, with and without attention, of both shapes."""
    widths = tuple(8 * one for one in draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    values = {"shape": draw(st.sampled_from(["vq", "kl"])), "image": 16, "widths": widths, "groups": 4}
    values |= {"blocks": draw(st.integers(1, 2)), "latent": draw(st.integers(1, 5)), "codes": draw(st.integers(2, 99))}
    values |= {"attended": draw(st.integers(0, 3))}
    values |= {"attention": draw(st.booleans()), "channels": draw(st.sampled_from([1, 3]))}
    return AutoencoderConfig(**values)


@given(configurations())
def test_counts_equal_the_real_network(config):
    network, found = config.build(device="meta"), parameters(Shape.of(config), 0)
    roles, by_role = network.roles(), {}
    for name, parameter in network.named_parameters():
        by_role[roles[name]] = by_role.get(roles[name], 0) + parameter.numel()
    assert found["convolutions"] == by_role["kernel"]
    assert found["attention"] == by_role.get("column", 0) + by_role.get("row", 0)
    assert found["vectors"] == by_role["vector"]
    assert found["embedding"] == by_role.get("embedding", 0)
    assert sum(found.values()) == sum(by_role.values())


@pytest.mark.parametrize("shape", ["vq", "kl"])
@pytest.mark.parametrize("attention", [True, False])
def test_flops_equal_what_torch_counts(shape, attention):
    widths, attended = (16, 24, 32), 2 * attention
    config = AutoencoderConfig(shape=shape, image=16, widths=widths, groups=8, attention=attention, attended=attended)
    network = config.build()
    # The counter does not know the fused attention of CPUs.
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        latents = network.latents(torch.zeros(2, 16, 16, 3))
        network.decode(latents)
    expected = flops.forward(Shape.of(config), 0) * 2 * config.context
    assert counter.get_total_flops() == pytest.approx(expected, rel=1e-6)


def test_the_autoencoder_of_latent_diffusion_has_the_published_count():
    """83,653,863 parameters of the KL-f8 autoencoder (Rombach et al. 2022; the AutoencoderKL of Stable Diffusion 1)."""
    config = AutoencoderConfig(shape="kl", image=256, widths=(128, 256, 512, 512), blocks=2, latent=4)
    assert total(Shape.of(config), 0) == 83_653_863
    assert config.context == 1024


def test_sizes_are_written_out_and_memory_grows_with_the_batch():
    config = AutoencoderConfig(image=16, widths=(16, 32), groups=8)
    model, training, derived = resolve(config, TrainingConfig(steps=10), 0)
    assert model == config and not any(one.key.startswith("model.") for one in derived)
    assert training.optimizer.learning_rate > 0
    one, two = (memory(Shape.of(config), 0, Use(batch))["activations"] for batch in (1, 2))
    assert two == 2 * one > 0


def test_pictures_that_cannot_be_halved_so_often_are_refused():
    with pytest.raises(ValueError, match="which 30 does not bear"):
        AutoencoderConfig(image=30, widths=(32, 32, 32))
    with pytest.raises(ValueError, match="no multiples of groups"):
        AutoencoderConfig(image=32, widths=(24,), groups=16)
