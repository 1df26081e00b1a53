"""A run is the same run at any world size: what it is fed, what it learns, and what it can be resumed from."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from gloo import together
from spread_run import OPTIMIZERS, run, saved

EXPERTS = {"experts": 4, "experts_per_token": 2, "expert_width": 32, "balance_rate": 0.001}
BANDS = {"adamw": 1e-5, "muon": 1e-5, "muon in bf16": 2e-3, "lion": 1e-5, "adafactor": 1e-5, "soap": 1e-5}
"""How far apart losses may be over 20 steps."""


def in_two(rank: int, root: Path) -> dict[str, Any]:
    shard, adamw = {"shard": 2}, {"optimizer": OPTIMIZERS["adamw"], "ema": 0.9}
    found: dict[str, Any] = {}
    found["adamw"] = run(root / "adamw", shard, **adamw)
    found["muon"] = run(root / "muon", {"tensor": 2}, optimizer=OPTIMIZERS["muon"], network=EXPERTS)
    found["muon, experts divided"] = run(root / "expert", {"expert": 2}, optimizer=OPTIMIZERS["muon"], network=EXPERTS)
    found["lion"] = run(root / "lion", shard, optimizer=OPTIMIZERS["lion"], steps=8)
    found["adafactor"] = run(root / "adafactor", {"tensor": 2}, optimizer=OPTIMIZERS["adafactor"], steps=8)
    # A checkpoint of one process, gone on from in two, which divide the matrices among them.
    found["soap"] = run(root / "soap", shard, optimizer=OPTIMIZERS["soap"], network=EXPERTS, steps=8)
    assert run(root / "half", shard, stop=10 if rank else None, **adamw) is None  # one asks, and all stop
    if not rank:
        shutil.copytree(root / "half", root / "half for one")
    torch.distributed.barrier()
    found["half"] = run(root / "half", shard, **adamw)
    found["from one"] = run(root / "half of one", {"data": 2}, **adamw)
    found["from one, in stages"] = run(root / "stages of one", {"pipeline": 2}, **adamw)
    found["from one, in pieces"] = run(root / "pieces of one", {"context": 2}, **adamw)
    return found


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]], dict[str, Any]]:
    """The folder of all runs, what two processes gave, and what one did."""
    root, adamw = tmp_path_factory.mktemp("runs"), {"optimizer": OPTIMIZERS["adamw"], "ema": 0.9}
    assert run(root / "half of one", stop=10, **adamw) is None
    for name in ("pieces", "stages"):
        shutil.copytree(root / "half of one", root / f"{name} of one")
    assert run(root / "soap", stop=4, optimizer=OPTIMIZERS["soap"], network=EXPERTS, steps=8) is None
    spread = together(in_two, 2, root)
    alone = {
        "lion": run(root / "lion of one", optimizer=OPTIMIZERS["lion"], steps=8),
        "adafactor": run(root / "adafactor of one", optimizer=OPTIMIZERS["adafactor"], steps=8),
        "soap": run(root / "soap of one", optimizer=OPTIMIZERS["soap"], network=EXPERTS, steps=8),
        "adamw": run(root / "adamw of one", **adamw),
        "muon": run(root / "muon of one", optimizer=OPTIMIZERS["muon"], network=EXPERTS),
        "half": run(root / "half for one", micro_batch=5, **adamw),
    }
    return root, spread, alone


@pytest.mark.parametrize("name", ["adamw", "muon", "muon, experts divided", "lion", "adafactor", "soap"])
def test_the_world_size_changes_nothing(two: Any, name: str) -> None:
    _, spread, alone = two
    alone = {**alone, "muon, experts divided": alone["muon"]}
    for found in spread:
        assert all(found[name][key] == alone[name][key] for key in ("digest", "examples", "tokens"))
        losses = alone[name]["losses"][-len(found[name]["losses"]) :]
        torch.testing.assert_close(found[name]["losses"], losses, rtol=0, atol=BANDS[name.partition(",")[0]])
    ours, theirs = saved(spread[0][name]["checkpoint"]), saved(alone[name]["checkpoint"])
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        torch.testing.assert_close(ours[key], value, rtol=1e-3, atol=1e-4, msg=key)


def test_stopped_and_resumed_at_the_same_world_size_it_is_bit_for_bit_the_same(two: Any) -> None:
    _, spread, _ = two
    whole, half = saved(spread[0]["adamw"]["checkpoint"]), saved(spread[0]["half"]["checkpoint"])
    assert whole.keys() == half.keys() and all(torch.equal(whole[key], half[key]) for key in whole)
    assert spread[0]["half"]["digest"] == spread[0]["adamw"]["digest"]


def test_resumed_at_another_world_size_it_goes_on_alike(two: Any) -> None:
    _, spread, alone = two
    resumed = (spread[0][name] for name in ("from one", "from one, in pieces", "from one, in stages"))
    for found in (alone["half"], *resumed):
        assert found["digest"] == alone["adamw"]["digest"]
        torch.testing.assert_close(found["losses"], alone["adamw"]["losses"][10:], rtol=0, atol=1e-5)


def test_every_process_writes_its_own_part_and_one_process_can_read_them(two: Any) -> None:
    _, spread, alone = two
    names = {path.name for path in spread[0]["adamw"]["checkpoint"].iterdir()}
    assert {"model.safetensors", "model-1.safetensors", "optimizer.safetensors", "optimizer-1.safetensors"} <= names
    assert not any("-" in path.stem for path in alone["adamw"]["checkpoint"].glob("*.safetensors"))


def chained(rank: int, root: Path, layout: dict[str, Any], stop: int | None) -> Any:
    return run(root / "chained", layout, stop=stop, optimizer=OPTIMIZERS["muon"], network=EXPERTS, steps=16)


@pytest.mark.slow
def test_four_processes_then_two_then_one_and_back(tmp_path: Path) -> None:
    assert together(chained, 4, tmp_path, {"shard": 2, "tensor": 2}, 4)[0] is None
    assert together(chained, 2, tmp_path, {"expert": 2}, 8)[0] is None
    assert chained(0, tmp_path, {}, 12) is None
    found = together(chained, 4, tmp_path, {"pipeline": 2, "shard": 2}, None)[0]
    whole = run(tmp_path / "whole", optimizer=OPTIMIZERS["muon"], network=EXPERTS, steps=16)
    assert whole is not None and found["digest"] == whole["digest"]
    torch.testing.assert_close(found["losses"], whole["losses"][12:], rtol=0, atol=1e-5)
    ours, theirs = saved(found["checkpoint"]), saved(whole["checkpoint"])
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        torch.testing.assert_close(ours[key], value, rtol=1e-3, atol=1e-4, msg=key)


def test_stages_leave_a_checkpoint_of_the_whole(two: Any) -> None:
    _, spread, alone = two
    ours, theirs = saved(spread[0]["from one, in stages"]["checkpoint"]), saved(alone["adamw"]["checkpoint"])
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        torch.testing.assert_close(ours[key], value, rtol=1e-3, atol=1e-4, msg=key)


def every(rank: int, root: Path, layouts: list[dict[str, Any]]) -> Any:
    return {
        (str(layout), name): run(root / f"{number}-{name}", layout, optimizer=optimizer)
        for number, layout in enumerate(layouts)
        for name, optimizer in OPTIMIZERS.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [2, 4])
def test_every_layout_and_optimizer_stays_within_its_band(ranks: int, tmp_path: Path) -> None:
    two: list[dict[str, Any]] = [{"data": 2}, {"shard": 2}, {"tensor": 2}, {"context": 2}, {"pipeline": 2}]
    four: list[dict[str, Any]] = [{"data": 2, "shard": 2}, {"shard": 2, "tensor": 2}, {"data": 2, "tensor": 2}]
    found = together(every, ranks, tmp_path, two if ranks == 2 else four)[0]
    for name, optimizer in OPTIMIZERS.items():
        alone = run(tmp_path / f"alone-{name}", optimizer=optimizer)
        assert alone is not None
        for (layout, other), one in found.items():
            if other == name:
                assert one["digest"] == alone["digest"], layout
                torch.testing.assert_close(one["losses"], alone["losses"], rtol=0, atol=BANDS[name], msg=layout)
