"""Several processes skip and rewind together: one that finds harm is enough, and the way is that of one process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from gloo import together
from harmed import Harmed
from small_run import BATCH, CONTEXT, VOCABULARY, small_config, small_fit, small_network
from spread_run import OPTIMIZERS, StopAt, saved

from seedstock.errors import Interrupted
from seedstock.ledger.chain import Chain
from seedstock.objectives.base import Spec
from seedstock.objectives.configs.causal import CausalConfig
from seedstock.training import guard as guards

HARM = [9 * BATCH, 12 * BATCH - 1, 13 * BATCH + 3]
"""The first example of step 10, the last of step 12, one of step 14: each in one process's part alone."""


def guarded(folder: Path, optimizer: str, *, parallel: dict[str, Any] | None = None, stop: int | None = None) -> Any:
    torch.set_num_threads(1)
    network = small_network(heads=4, kv_heads=2)
    spec = Spec(vocab_size=VOCABULARY, context=CONTEXT, model=network.config)
    config = small_config(
        micro_batch=2,
        checkpoint_every=4,
        ema=0.9,
        optimizer=OPTIMIZERS[optimizer],
        parallel=parallel or {},
        guard={"window": 6, "skips": 3, "sigmas": 20},
    )
    objective = Harmed(HARM, "gradient", CausalConfig(), spec)
    try:
        return small_fit(folder, config, network, objective=objective, callbacks=[StopAt(stop)] if stop else []).digest
    except Interrupted:
        return None


def in_two(rank: int, root: Path) -> dict[str, Any]:
    found = {"adamw": guarded(root / "adamw", "adamw", parallel={"shard": 2})}
    assert guarded(root / "cut", "adamw", parallel={"shard": 2}, stop=13) is None
    found["cut"] = guarded(root / "cut", "adamw", parallel={"shard": 2})
    real = guards.Guard.__init__

    def blind(self: Any, *arguments: Any) -> None:
        real(self, *arguments)
        self.at_once = False  # as on a GPU

    guards.Guard.__init__ = blind  # type: ignore[method-assign]
    found["adamw on the device"] = guarded(root / "adamw on the device", "adamw", parallel={"shard": 2})
    found["muon on the device"] = guarded(root / "muon on the device", "muon", parallel={"shard": 2})
    return found


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    root = tmp_path_factory.mktemp("runs")
    spread = together(in_two, 2, root)
    for optimizer in ("adamw", "muon"):
        spread[0][f"{optimizer} alone"] = guarded(root / f"{optimizer} alone", optimizer)
    return root, spread


def newest(folder: Path) -> dict[str, torch.Tensor]:
    return saved(folder / "checkpoints" / "step-00000020")


def test_both_take_the_way_of_one_process(two: Any) -> None:
    root, spread = two
    for name, alone in [("adamw", "adamw"), ("adamw on the device", "adamw"), ("muon on the device", "muon")]:
        assert spread[0][name] == spread[1][name] == spread[0][f"{alone} alone"]
        chain, other = (Chain(root / one / "ledger" / "chain.jsonl") for one in (name, f"{alone} alone"))
        assert [*chain.of("rewound")] == [*other.of("rewound")] and chain.last("rewound")
        assert [body["step"] for body in chain.of("skipped")] == [10, 12, 14]
        ours, theirs = newest(root / name), newest(root / f"{alone} alone")
        for key, value in theirs.items():
            torch.testing.assert_close(ours[key], value, rtol=1e-3, atol=2e-4, msg=key)


@pytest.mark.parametrize("name", ["cut", "adamw on the device"])
def test_stopped_and_resumed_or_withheld_on_the_device_the_bits_are_the_same(two: Any, name: str) -> None:
    root, spread = two
    assert spread[0][name] == spread[0]["adamw"]
    ours, theirs = newest(root / name), newest(root / "adamw")
    assert all(torch.equal(ours[key], value) for key, value in theirs.items())
