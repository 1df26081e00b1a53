"""Counts and work of networks over episodes: against the real ones."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch.utils.flop_counter import FlopCounterMode

from seedstock.models.configs.trajectory import TrajectoryConfig
from seedstock.planning import flops
from seedstock.planning.parameters import Shape, parameters, total
from seedstock.planning.size import resolve
from seedstock.training.configs.training import TrainingConfig


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 50), st.integers(1, 3), st.sampled_from([32, 96]))
@settings(deadline=None)
def test_counts_equal_the_real_network(observation, action, longest, layers, width):
    sizes = {"observation": observation, "action": action, "longest": longest, "layers": layers, "width": width}
    config = TrajectoryConfig(heads=2, steps=5, **sizes)
    network, found = config.build(device="meta"), parameters(Shape.of(config), 0)
    roles, by_role = network.roles(), {}
    for name, parameter in network.named_parameters():
        by_role[roles[name]] = by_role.get(roles[name], 0) + parameter.numel()
    assert sum(found.values()) == sum(by_role.values())
    assert found["vectors"] == by_role["vector"]


def test_flops_equal_what_torch_counts():
    config = TrajectoryConfig(width=64, layers=2, heads=2, steps=10, observation=7, action=3)
    network = config.build().use(torch.bfloat16)
    with FlopCounterMode(display=False) as counter:
        network(torch.randn(2, 10), torch.randn(2, 10, 7), torch.randn(2, 10, 3))
    assert counter.get_total_flops() == pytest.approx(flops.forward(Shape.of(config), 0) * 2 * 30, rel=1e-6)


def test_the_dial_reaches_a_size():
    model = TrajectoryConfig(size="2M", observation=11, action=3)
    found, _, derived = resolve(model, TrainingConfig(steps=10), 0)
    count = total(Shape.of(found), 0)
    assert abs(count / model.size - 1) <= 0.05 and derived
    assert resolve(found, TrainingConfig(steps=10), 0)[0] == found


def test_the_context_is_three_places_a_step():
    assert TrajectoryConfig(steps=7).context == 21
    with pytest.raises(ValidationError, match="the context follows from steps: 21"):
        TrajectoryConfig(steps=7, context=20)
