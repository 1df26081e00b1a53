"""Whole matrices are dealt out: nobody works on what another process does already."""

from __future__ import annotations

import pytest
import torch
from fake_mesh import RANKS, mesh_of_64
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Placement, Replicate, Shard

from seedstock.training.optimizers.whole import through


@pytest.mark.parametrize(
    ("sizes", "placements"),
    [
        ((1, RANKS), (Shard(0), Shard(1))),  # tensor alone, which has a mesh of one process to shard over
        ((1, RANKS), (Shard(0), Shard(0))),
        ((RANKS, 1), (Shard(0), Shard(1))),
        ((2, RANKS // 2), (Replicate(), Shard(0))),
    ],
)
def test_a_matrix_is_worked_on_by_one_process_of_those_that_have_parts_of_it(
    sizes: tuple[int, int], placements: tuple[Placement, ...]
) -> None:
    worked: list[int] = []

    def work(numbers: list[int], whole: list[Tensor]) -> list[Tensor]:
        worked.extend(numbers)
        assert all(one.shape == (RANKS, RANKS) for one in whole)
        return whole

    with mesh_of_64():
        mesh, cut = init_device_mesh("cpu", sizes), max(sizes)
        dim = placements[sizes.index(cut)].dim  # type: ignore[attr-defined]
        shape = [RANKS, RANKS]
        shape[dim] //= cut
        lies = {"shape": torch.Size((RANKS, RANKS)), "stride": (RANKS, 1), "run_check": False}
        parts = [DTensor.from_local(torch.ones(shape), mesh, placements, **lies) for _ in range(2 * cut)]
        found = through(parts, work, torch.float32)
    assert len(worked) == 2  # of twice as many as there are processes
    assert all(one.shape == torch.Size(shape) for one in found)
