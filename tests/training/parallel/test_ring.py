"""Sequences in runs: every pair of positions that see each other is met once, and all processes have as much to do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fake_mesh import mesh_of_64
from hypothesis import given, settings
from hypothesis import strategies as st
from test_every_recipe import FOLDER, load, step

from seedstock.models.mask import Mask
from seedstock.training.parallel.context import runs
from seedstock.training.parallel.ring import Ring, Tile

CPU = torch.device("cpu")


def ring(rank: int, places: list[tuple[slice, ...]]) -> Ring:
    """Process ``rank`` of as many as there are places."""
    mesh: Any = SimpleNamespace(get_group=lambda: None, size=lambda: len(places), get_local_rank=lambda: rank)
    return Ring(mesh, places)


@st.composite
def masks(draw: st.DrawFn, length: int) -> Mask:
    """Any that an objective by position may have: documents in order, padding behind them, prefixes, a window."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**20)))
    pattern = draw(st.sampled_from(["causal", "full", "prefix"]))
    documents = torch.rand(2, length, generator=generator).lt(draw(st.sampled_from([0.0, 0.05, 0.3]))).cumsum(1)
    documents[1, length - draw(st.integers(0, length // 2)) :] = -1
    prefix = (
        torch.rand(2, length, generator=generator) < draw(st.sampled_from([0.0, 0.1])) if pattern == "prefix" else None
    )
    window = draw(st.none() | st.integers(1, length))
    return Mask(pattern, draw(st.sampled_from([None, documents])), prefix, window)


@given(st.data(), st.sampled_from([2, 3, 4]), st.booleans())
@settings(max_examples=80, deadline=None)
def test_every_pair_that_is_seen_is_met_once(data: st.DataObject, size: int, mirrored: bool) -> None:
    places = runs(24, size, mirrored=mirrored)
    mask = data.draw(masks(24))
    met = torch.zeros(2, 24, 24, dtype=torch.int64)
    rounds = set()
    for rank in range(size):
        one = ring(rank, places)
        plan = one.plan(mask)
        rounds.add(len(plan))
        for number, tiles in enumerate(plan):
            for tile in tiles:
                assert tile.places[0] == places[rank][tile.queries.start // (tile.queries.stop - tile.queries.start)]
                assert tile.places[1] in places[(rank - number) % size]
                met[:, tile.places[0], tile.places[1]] += seen(tile, mask)
        own = [tile.places for tile in plan[0][: len(places[rank])]]
        assert own == [(run, run) for run in places[rank]]  # everybody sees himself, and first
    assert len(rounds) == 1  # or some would wait for ever
    assert torch.equal(met, mask.visible(24, 24, CPU).expand(2, -1, -1).long())


def seen(tile: Tile, mask: Mask) -> torch.Tensor:
    every = torch.ones(tile.queries.stop - tile.queries.start, tile.keys.stop - tile.keys.start, dtype=torch.int64)
    known = {"all": every, "causal": every.tril()}
    return known.get(tile.sight, mask.between(*tile.places, CPU).long())


@pytest.mark.parametrize("size", [2, 4, 8])
def test_mirrored_runs_level_the_work_of_attention_that_looks_back(size: int) -> None:
    def work(mirrored: bool) -> list[int]:
        places = runs(64, size, mirrored=mirrored)
        return [sum(run.stop * (run.stop + 1) - run.start * (run.start + 1) for run in own) // 2 for own in places]

    assert len(set(work(True))) == 1
    assert max(work(False)) > (2 - 2 / size) * sum(work(False)) / size


def test_near_by_the_ring_stops_early() -> None:
    places = runs(64, 8, mirrored=False)
    assert len(ring(3, places).plan(Mask(window=7))) == 2 and len(ring(3, places).plan(Mask())) == 8


def test_a_step_in_a_ring_of_processes_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load(FOLDER / "moe.yaml", monkeypatch)
    with mesh_of_64():
        whole, own = step(loaded, {"data": 4, "shard": 4, "context": 4, "ring": True})
    assert whole / 64 <= own <= whole / 4
