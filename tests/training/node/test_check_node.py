"""The check of a machine: what passes, what fails and says why, and that one failure hides no other."""

from __future__ import annotations

import json

import pytest

from seedstock.cli import main
from seedstock.errors import SeedstockError
from seedstock.training.node import check as checks
from seedstock.training.parallel import launch
from seedstock.training.parallel.group import LostError

GOOD = {
    "links": {"bus": 1e9, "pairs": [2e9, 1e9], "right": True},
    "rates": [1e12, 0.9e12],
    "parity": {"data 2": 1e-7, "shard 2": 2e-7},
    "losses": [5.0, 4.0, 3.0, 2.5, 2.0, 1.5],
}


@pytest.mark.slow
def test_this_machine_passes_in_a_minute(tmp_path, capsys):
    assert main(["check-node", "--quick", "--runs", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    names = [item["name"] for item in found["items"]]
    assert names == ["disk", "links", "devices", "gradient parity", "resume on half", "killed process"]
    assert found["passed"] and not any(tmp_path.iterdir())


def faked(monkeypatch, tmp_path, found=GOOD, lost="process 1 of 2 was lost (killed by SIGKILL)", again=(2.5, 2.0, 1.5)):
    """A check whose processes gave this, on the real disk."""
    from seedstock.training.node import probes

    def start(function, arguments, size, timeout):
        if function is probes.lost:
            if lost:
                raise LostError(lost)
            return None
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(launch, "start", start)
    monkeypatch.setattr(probes, "train", lambda folder, examples: list(again))
    monkeypatch.setattr(checks, "DISK", 0.0)
    result = checks.check(tmp_path, processes=2, quick=True)
    return {item["name"]: item for item in result["items"]}, result["passed"]


def test_a_good_machine_passes(monkeypatch, tmp_path):
    items, passed = faked(monkeypatch, tmp_path)
    assert passed and all(item["passed"] for item in items.values())
    assert "slowest link 1 to 0" in items["links"]["found"] and "process 1" in items["devices"]["found"]


@pytest.mark.parametrize(
    ("item", "changes"),
    [
        ("links", {"found": {**GOOD, "links": {**GOOD["links"], "right": False}}}),
        ("links", {"found": {**GOOD, "links": {**GOOD["links"], "pairs": [1e9, 1e5]}}}),
        ("devices", {"found": {**GOOD, "rates": [1e12, 1e12, 1e11]}}),
        ("gradient parity", {"found": {**GOOD, "parity": {"data 2": 1e-7, "shard 2": 2.0}}}),
        ("resume on half", {"again": (2.5, 2.0, 1.6)}),
        ("resume on half", {"again": (2.5,)}),
        ("killed process", {"lost": "process 0 of 2 gave no answer"}),
        ("killed process", {"lost": None}),
    ],
)
def test_one_fault_fails_its_own_item(monkeypatch, tmp_path, item, changes):
    items, passed = faked(monkeypatch, tmp_path, **changes)
    assert not passed and [name for name, one in items.items() if not one["passed"]] == [item]


def test_processes_that_do_not_start_fail_and_the_rest_is_still_tried(monkeypatch, tmp_path):
    items, passed = faked(monkeypatch, tmp_path, found=SeedstockError("no port is free"))
    failed = {name for name, one in items.items() if not one["passed"]}
    assert failed == {"links", "devices", "gradient parity", "resume on half"} and not passed
    assert items["links"]["found"] == "no port is free"


def test_a_slow_disk_fails(monkeypatch, tmp_path):
    monkeypatch.setattr(checks, "DISK", 1e15)
    item = checks._disk(tmp_path, 1)
    assert not item.passed and "are wanted" in item.found


def test_one_process_has_nobody_to_check(tmp_path, capsys):
    assert main(["check-node", "--processes", "1", "--runs", str(tmp_path), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["where"] == "--processes"
