"""Every layout gives the full gradients and losses of one process: gradients, since Adam would hide a factor."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from gloo import together
from parity_cases import BAND, BY_POSITION, CASES, EVERY, LAYERED, differences, gradients

from seedstock.training.parallel.pipeline import SPLIT_BACKWARD

TWO = ({"data": 2}, {"shard": 2}, {"tensor": 2}, {"tensor": 2, "sequence": False})
FOUR = ({"data": 2, "shard": 2}, {"shard": 2, "tensor": 2}, {"data": 2, "tensor": 2}, {"shard": 4})
EIGHT = ({"data": 2, "shard": 2, "tensor": 2}, {"shard": 8})
AGAIN = ({"shard": 2, "recompute": "selective"}, {"tensor": 2, "recompute": "full"})
RING = {"context": 2, "ring": True}
ALONG = {
    2: ({"context": 2}, RING, {**RING, "recompute": "selective"}),
    4: ({"shard": 2, "context": 2}, {"data": 2, **RING}, {"context": 2, "tensor": 2}, {**RING, "context": 4}),
}
"""Layouts that cut sequences, by processes."""
EARLY = {**RING, "context": 4}
"""A ring that windows stop before its end."""
DIVIDED = {
    2: ({"expert": 2},),
    4: ({"shard": 4, "expert": 2}, {"data": 2, "expert": 2}, {"shard": 2, "expert": 2, **RING}),
}
"""Layouts that divide experts."""
STAGED = {
    2: ({"pipeline": 2}, {"pipeline": 2, "schedule": "gpipe", "recompute": "full"}),
    4: ({"pipeline": 2, "shard": 2}, {"pipeline": 2, "data": 2}),
}
"""Layouts that divide layers; DEEP are those that want several stages a process, or split the backward pass."""
DEEP = ({"pipeline": 2, "schedule": "interleaved"}, {"pipeline": 2, "schedule": "zero-bubble"})
SOME = ("decoder", "encoder with heads", "experts")
HALF = ("decoder", "experts")
FOUR_LAYERS = ("untied", "experts, tied")
UNEVEN = {2: 7, 4: 5, 8: 11}
"""Examples of a step: parts differ, and so do their numbers of micro-batches."""


def work(rank: int, pairs: list[tuple[str, dict[str, Any]]], count: int, micro: int) -> Any:
    return {(name, str(layout)): gradients(EVERY[name](), count, micro, layout) for name, layout in pairs}


def works(layout: dict[str, Any]) -> bool:
    return SPLIT_BACKWARD or layout.get("schedule") != "zero-bubble"


@cache
def spread_out(ranks: int, count: int) -> list[dict[tuple[str, str], Any]]:
    names = tuple(CASES) if ranks == 2 else SOME
    pairs = [(name, layout) for name in names for layout in {2: TWO, 4: FOUR, 8: EIGHT}[ranks]]
    pairs += [(name, layout) for name in SOME for layout in AGAIN if ranks == 2]
    pairs += [(name, layout) for name in (BY_POSITION if ranks == 2 else HALF) for layout in ALONG.get(ranks, ())]
    pairs += [("windows", EARLY)] if ranks == 4 else []
    pairs += [("experts", layout) for layout in DIVIDED.get(ranks, ())]
    pairs += [(name, layout) for name in LAYERED for layout in STAGED.get(ranks, ())]
    pairs += [(name, layout) for name in FOUR_LAYERS for layout in DEEP if ranks == 2 and works(layout)]
    return together(work, ranks, pairs, count, 2)


@cache
def alone(name: str, count: int) -> dict[str, Any]:
    torch.set_num_threads(1)
    return gradients(EVERY[name](), count, 2, None)


def same(ranks: int, name: str, layout: dict[str, Any], count: int) -> None:
    theirs = alone(name, count)
    for found in spread_out(ranks, count):
        ours = found[name, str(layout)]
        worst = max(differences(ours, theirs).items(), key=lambda item: item[1])
        assert worst[1] <= BAND, worst
        assert ours["losses"].keys() == theirs["losses"].keys() and ours["positions"] == theirs["positions"]
        for kind in ("losses", "metrics"):
            for key, value in theirs[kind].items():
                torch.testing.assert_close(ours[kind][key], value, rtol=BAND, atol=BAND)
        torch.testing.assert_close(ours["norm"], theirs["norm"], rtol=BAND, atol=0)
        assert all(torch.equal(a, b) for a, b in zip(ours["loads"], theirs["loads"], strict=True))


@pytest.mark.parametrize("layout", TWO, ids=str)
@pytest.mark.parametrize("name", CASES)
def test_two_processes(name: str, layout: dict[str, Any]) -> None:
    same(2, name, layout, UNEVEN[2])


@pytest.mark.parametrize("layout", AGAIN, ids=str)
@pytest.mark.parametrize("name", SOME)
def test_two_processes_that_work_blocks_out_again(name: str, layout: dict[str, Any]) -> None:
    same(2, name, layout, UNEVEN[2])


@pytest.mark.parametrize("layout", ALONG[2], ids=str)
@pytest.mark.parametrize("name", BY_POSITION)
def test_two_processes_with_a_piece_of_each_sequence(name: str, layout: dict[str, Any]) -> None:
    same(2, name, layout, UNEVEN[2])


@pytest.mark.parametrize("layout", ALONG[4], ids=str)
@pytest.mark.parametrize("name", HALF)
def test_four_processes_with_pieces_of_sequences(name: str, layout: dict[str, Any]) -> None:
    same(4, name, layout, UNEVEN[4])


def test_four_processes_in_a_ring_that_ends_early() -> None:
    same(4, "windows", EARLY, UNEVEN[4])


@pytest.mark.parametrize("layout", DIVIDED[2], ids=str)
def test_two_processes_with_half_of_the_experts_each(layout: dict[str, Any]) -> None:
    same(2, "experts", layout, UNEVEN[2])


@pytest.mark.parametrize("layout", STAGED[2], ids=str)
@pytest.mark.parametrize("name", LAYERED)
def test_two_processes_with_half_of_the_layers_each(name: str, layout: dict[str, Any]) -> None:
    same(2, name, layout, UNEVEN[2])


@pytest.mark.parametrize("layout", DEEP, ids=str)
@pytest.mark.parametrize("name", FOUR_LAYERS)
def test_two_processes_with_several_stages_or_a_split_backward_pass(name: str, layout: dict[str, Any]) -> None:
    if not works(layout):
        pytest.skip("below torch 2.13 the zero-bubble schedule is refused")
    same(2, name, layout, UNEVEN[2])


@pytest.mark.parametrize("layout", STAGED[4], ids=str)
@pytest.mark.parametrize("name", LAYERED)
def test_four_processes_with_parts_of_the_layers(name: str, layout: dict[str, Any]) -> None:
    same(4, name, layout, UNEVEN[4])


@pytest.mark.parametrize("layout", DIVIDED[4], ids=str)
def test_four_processes_with_parts_of_the_experts(layout: dict[str, Any]) -> None:
    same(4, "experts", layout, UNEVEN[4])


@pytest.mark.parametrize("layout", FOUR, ids=str)
@pytest.mark.parametrize("name", SOME)
def test_four_processes(name: str, layout: dict[str, Any]) -> None:
    same(4, name, layout, UNEVEN[4])


@pytest.mark.slow
@pytest.mark.parametrize("layout", FOUR, ids=str)
@pytest.mark.parametrize("name", SOME)
def test_processes_without_an_example(name: str, layout: dict[str, Any]) -> None:
    same(4, name, layout, 1)


@pytest.mark.slow
@pytest.mark.parametrize("layout", DIVIDED[4], ids=str)
def test_processes_without_an_example_that_have_experts(layout: dict[str, Any]) -> None:
    same(4, "experts", layout, 1)


def compiled(rank: int, layouts: list[dict[str, Any]]) -> Any:
    return [gradients(CASES["decoder"](), 4, 2, layout, compiled=True) for layout in layouts]


@pytest.mark.slow
def test_blocks_are_compiled_between_tensor_or_recomputation_and_shard() -> None:
    theirs = alone("decoder", 4)
    layouts = [{"shard": 2}, {"tensor": 2}, {"shard": 2, "recompute": "full"}, {"tensor": 2, "recompute": "selective"}]
    for ours in together(compiled, 2, layouts)[0]:
        assert max(differences(ours, theirs).values()) <= BAND


@pytest.mark.slow
@pytest.mark.parametrize("layout", EIGHT, ids=str)
@pytest.mark.parametrize("name", SOME)
def test_eight_processes(name: str, layout: dict[str, Any]) -> None:
    same(8, name, layout, UNEVEN[8])
