"""Products in float8 under layouts: rounded as in one process, but where tensor parallelism cuts the operands."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from gloo import together
from parity_cases import BAND, CASES, gradients

pytest.importorskip("torchao.float8", reason="needs the extra float8")
pytestmark = pytest.mark.slow
LAYOUTS: tuple[dict[str, Any], ...] = (
    {"shard": 2},
    {"data": 2},
    {"shard": 2, "recompute": "selective"},
    {"tensor": 2},
)
COUNT, MICRO = 4, 2
"""Examples of a step: the parts of two processes are the micro-batches of one, since a scale is of what is multiplied
at once."""


def work(rank: int, recipe: str) -> list[dict[str, Any]]:
    return [gradients(CASES["decoder"](), COUNT, MICRO, layout, eight=recipe) for layout in LAYOUTS]


def apart(ours: dict[str, Any], theirs: dict[str, Any]) -> float:
    """How far the whole gradient is, of its norm."""
    squares = [(ours["gradients"][name] - one).square().sum() for name, one in theirs["gradients"].items()]
    return float(torch.stack(squares).sum().sqrt() / theirs["norm"])


@pytest.mark.parametrize("recipe", ["tensorwise", "rowwise"])
def test_two_processes_round_as_one(recipe: str) -> None:
    torch.set_num_threads(1)
    theirs = gradients(CASES["decoder"](), COUNT, MICRO, None, eight=recipe)
    for found in together(work, 2, recipe):
        for layout, ours in zip(LAYOUTS, found, strict=True):
            assert apart(ours, theirs) <= (0.2 if "tensor" in layout else BAND), layout
