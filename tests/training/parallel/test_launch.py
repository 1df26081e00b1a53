"""Processes that are started here: their result, what becomes of one that is lost, hangs, fails or is asked to stop."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from spread_run import OPTIMIZERS, run

from seedstock.errors import Interrupted, RecipeError, SeedstockError
from seedstock.learning import most
from seedstock.training.configs.parallel import ParallelConfig, check
from seedstock.training.parallel import flight, launch, places

TIMEOUT = 4.0


def added(what: str) -> int:
    """Adds up ranks a few times; process 1 does as it is told the second time."""
    total = torch.zeros(1)
    for turn in range(3):
        if turn == 1 and dist.get_rank() == 1:
            if what == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if what == "hangs":
                time.sleep(600)
            if what == "fails":
                raise ValueError("no such thing")
            if what == "refuses":
                raise RecipeError("it does not fit", fix="make it smaller")
        total.fill_(dist.get_rank())
        dist.all_reduce(total)
    return int(total)


def started(what: str, records: Path | None = None) -> int:
    return launch.start(added, (what,), 2, TIMEOUT, records)


@pytest.mark.slow
def test_the_first_process_gives_the_result() -> None:
    assert started("goes on") == 1


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("killed", "process 1 of 2 was lost (killed by SIGKILL)"),
        ("hangs", "process 1 of 2 gave no answer in 4 s"),
        pytest.param("fails", "process 1 of 2 failed: ValueError: no such thing", marks=pytest.mark.slow),
    ],
)
def test_a_process_that_is_missing_is_named_and_the_others_leave(
    what: str, told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(launch, "GRACE", 1.0)
    began, records = time.monotonic(), tmp_path / "flight"
    with pytest.raises(SeedstockError) as error:
        started(what, records)
    assert told in error.value.what
    assert time.monotonic() - began < 60
    if what == "killed":
        assert f"what each process exchanged last lies in {records}" in (error.value.fix or "")
        last = (records / "gloo-0.txt").read_text().splitlines()[-1]  # what nobody answered
        assert " gloo:all_reduce [[1]] added (test_launch.py:" in last


@pytest.mark.slow
def test_what_is_wrong_with_the_recipe_is_told_once_as_it_is() -> None:
    with pytest.raises(RecipeError, match="it does not fit"):
        started("refuses")


def trained(folder: Path) -> object:
    found = run(folder, {"shard": 2}, optimizer=OPTIMIZERS["adamw"], steps=100_000, checkpoint_every=100_000)
    if found is None:
        raise Interrupted("asked to stop")
    return found


def test_a_request_to_stop_saves_at_one_step_in_all(tmp_path: Path) -> None:
    def ask() -> None:
        while not (tmp_path / "ledger" / "chain.jsonl").exists():
            time.sleep(0.1)
        time.sleep(1)
        os.kill(os.getpid(), signal.SIGUSR1)

    threading.Thread(target=ask, daemon=True).start()
    with pytest.raises(Interrupted):
        launch.start(trained, (tmp_path,), 2, 60.0)
    (saved,) = (tmp_path / "checkpoints").glob("step-*")
    assert {"model.safetensors", "model-1.safetensors", "manifest.json"} <= {path.name for path in saved.iterdir()}


def test_a_record_is_asked_for_as_long_as_the_group_stands_and_never_against_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, names = (
        tmp_path / "flight",
        ("TORCH_FR_BUFFER_SIZE", "TORCH_FR_DUMP_TEMP_FILE", "TORCH_NCCL_DUMP_ON_TIMEOUT"),
    )
    folder.mkdir()
    (folder / "gloo-5.txt").touch()  # of an earlier attempt
    with flight.recorded(folder, 0):
        assert [os.environ[name] for name in names] == ["2000", f"{folder}/nccl_rank_", "1"]
        assert folder.is_dir() and not flight.where(folder)
    assert not any(name in os.environ for name in names)
    monkeypatch.setenv("TORCH_NCCL_TRACE_BUFFER_SIZE", "7")
    with flight.recorded(folder, 1):
        assert "TORCH_FR_BUFFER_SIZE" not in os.environ
    assert not folder.exists()


def test_places_of_launchers() -> None:
    torchrun = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "MASTER_ADDR": "a", "MASTER_PORT": "29500"}
    assert places.find(torchrun) == places.Place(5, 8, 1, "torchrun", "a", 29500)
    assert places.find(torchrun | {"RANK": "0", "WORLD_SIZE": "1"}) is None
    slurm = {"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4", "SLURM_LOCALID": "1", "SLURM_JOB_ID": "123456"}
    found = places.find(slurm | {"SLURM_STEP_NODELIST": "gpu[03-04],gpu9"})
    assert found == places.Place(3, 4, 1, "slurm", "gpu03", 20_000 + 123456 % 20_000)
    assert places.find({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}) is None  # sbatch without srun
    assert places.find({}) is None


@pytest.mark.parametrize(("examples", "count"), [(64, 8), (5, 5), (1, 1)])
def test_without_being_asked_it_takes_as_many_devices_as_are_of_use(examples: int, count: int) -> None:
    assert most(8, lambda size: check(ParallelConfig(), size, examples=examples)) == count


@pytest.mark.parametrize(
    ("hosts", "first"), [("one", "one"), ("a1,a2", "a1"), ("n[007,9-11]-ib", "n007-ib"), ("gpu[1-2],cpu", "gpu1")]
)
def test_first_host_of_slurms_list(hosts: str, first: str) -> None:
    assert places.first_host(hosts) == first
