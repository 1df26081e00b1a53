"""How much of a teacher stays at a step: as it is told, or more and more over the run."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from seedstock.config import Config
from seedstock.errors import RecipeError
from seedstock.objectives.base import Spec
from seedstock.objectives.configs.dino import DinoConfig
from seedstock.objectives.configs.ijepa import IjepaConfig
from seedstock.objectives.configs.views import ByolConfig
from seedstock.objectives.projection import follow, momentum_at

KINDS = (ByolConfig, DinoConfig, IjepaConfig)
SHARES = st.floats(0, 0.999)


def spec(examples: int | None) -> Spec:
    return Spec(vocab_size=0, context=0, examples=examples)


@given(st.sampled_from(KINDS), SHARES, st.integers(0, 10_000))
def test_without_an_end_it_stays_as_it_is(kind: type[Config], share: float, example: int) -> None:
    assert momentum_at(kind(momentum=share), spec(5000), example) == share


@given(st.sampled_from(KINDS), SHARES, st.integers(0, 10_000))
def test_it_stays_where_the_length_is_not_known(kind: type[Config], share: float, example: int) -> None:
    assert momentum_at(kind(momentum=share, momentum_end=1.0), spec(None), example) == share


@given(st.sampled_from(KINDS), SHARES, st.floats(0, 1), st.integers(1, 10_000))
def test_it_goes_from_the_one_to_the_other(kind: type[Config], first: float, last: float, examples: int) -> None:
    config, told = kind(momentum=first, momentum_end=last), spec(examples)
    course = [momentum_at(config, told, round(examples * n / 20)) for n in range(21)]
    assert math.isclose(course[0], first, abs_tol=1e-12)
    assert math.isclose(course[-1], last, abs_tol=1e-12)
    rising = course if last >= first else course[::-1]
    assert all(a <= b + 1e-12 for a, b in pairwise(rising))
    assert momentum_at(config, told, 2 * examples) == course[-1]  # a run that goes on


def test_at_one_the_teacher_rests() -> None:
    teacher, student = nn.Linear(3, 2), nn.Linear(3, 2)
    before = teacher.weight.detach().clone()
    follow(teacher, student, momentum_at(ByolConfig(momentum_end=1.0), spec(100), 100))
    assert torch.equal(teacher.weight, before)


@pytest.mark.parametrize("kind", KINDS)
def test_an_end_above_one_is_refused(kind: type[Config]) -> None:
    with pytest.raises((RecipeError, ValueError), match="momentum_end"):
        kind(momentum_end=1.5)
