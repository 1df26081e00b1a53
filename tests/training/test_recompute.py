"""Activation checkpointing gives the same bits, and keeps less."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from alive import Alive

sys.path.append(str(Path(__file__).parent / "parallel"))

from parity_cases import CASES, Case, gradients

from seedstock.models.configs.decoder import DecoderConfig
from seedstock.objectives.configs.causal import CausalConfig
from seedstock.training import batches
from seedstock.training.configs.parallel import ParallelConfig
from seedstock.training.configs.training import TrainingConfig
from seedstock.training.gradients import accumulate
from seedstock.training.parallel.layouts import spread
from seedstock.training.parallel.world import World
from seedstock.training.passing import Pass

HOW = ("selective", "full")


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("name", CASES)
def test_gradients_losses_and_loads_are_the_same_bit_for_bit(name: str, how: str) -> None:
    plain, again = gradients(CASES[name](), 3, 2, None), gradients(CASES[name](), 3, 2, {"recompute": how})
    assert plain["gradients"].keys() == again["gradients"].keys()
    assert all(torch.equal(again["gradients"][key], one) for key, one in plain["gradients"].items())
    assert all(torch.equal(again["losses"][key], one) for key, one in plain["losses"].items())
    assert all(map(torch.equal, again["loads"], plain["loads"]))


def held(how: str) -> int:
    """The most bytes that a step of eight blocks holds at once."""
    case = Case(DecoderConfig(shape="llama", width=64, layers=8, heads=4, kv_heads=2, context=16), CausalConfig())
    nets, objective = case.build()
    passing = Pass(nets, objective)
    spread(passing, World(), ParallelConfig(), recompute=how)
    batch = batches.tensors(case.batch(objective, np.arange(16)), torch.device("cpu"))
    with Alive() as alive:
        accumulate(nets, objective, batch, np.arange(16), size=16, seed=1, passing=passing)
    return alive.most


def test_the_more_is_worked_out_again_the_less_is_held() -> None:
    none, selective, full = (held(how) for how in ("none", *HOW))
    assert full < 0.6 * none and full < selective < none


def test_recipes_name_what_there_is() -> None:
    with pytest.raises(ValueError, match="'none', 'selective' or 'full'"):
        TrainingConfig(recompute="some")
    assert "recompute" in TrainingConfig.how  # no part of what a run is
