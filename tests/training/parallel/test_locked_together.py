"""Several processes with locked parameters learn what one process does, of a loss that compares examples too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from gloo import together
from halves import Halves
from small_run import small_config, small_fit, small_network
from spread_run import saved

pytestmark = pytest.mark.slow
LOCKED = ("network.embedding.*", "network.backbone.blocks.0.*")
SIZES = {"heads": 4, "kv_heads": 2}


def trained(folder: Path, parallel: dict[str, Any]) -> dict[str, Any]:
    torch.set_num_threads(1)
    config = small_config(
        steps=4,
        checkpoint_every=4,
        micro_batch=2,
        locked=LOCKED,
        parallel=parallel,
        optimizer={"kind": "adamw", "learning_rate": 1e-3},
    )
    return saved(small_fit(folder, config, small_network(**SIZES), objective=Halves()).checkpoint)


def in_two(rank: int, root: Path) -> dict[str, dict[str, Any]]:
    return {name: trained(root / name, {name: 2}) for name in ("data", "shard")}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    root = tmp_path_factory.mktemp("locked")
    return {"alone": trained(root / "alone", {}), **together(in_two, 2, root)[0]}


@pytest.mark.parametrize("layout", ["data", "shard"])
def test_locked_weights_stay_and_the_others_are_those_of_one_process(found: dict[str, Any], layout: str) -> None:
    fresh, moved = small_network(**SIZES).state_dict(), 0
    for name, tensor in fresh.items():
        own, alone = (found[which][f"model.{name}"] for which in (layout, "alone"))
        if name.startswith(("embedding.", "backbone.blocks.0.")):
            assert torch.equal(own, tensor), name
        else:
            moved += not torch.equal(own, tensor)
            torch.testing.assert_close(own, alone, rtol=1e-4, atol=1e-5)
    assert moved
