"""How a command line names recipes and runs."""

import argparse
import json
from pathlib import Path

import pytest

from seedstock.cli import main
from seedstock.cli.options import open_run
from seedstock.errors import SeedstockError
from seedstock.ledger.chain import Chain


@pytest.fixture
def runs(tmp_path, monkeypatch):
    (tmp_path / "runs" / "small").mkdir(parents=True)
    (tmp_path / "runs" / "small" / "recipe.yaml").write_text("name: small\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


def opened(name, folder="runs"):
    return open_run(argparse.Namespace(name=name, runs=Path(folder)))


@pytest.mark.parametrize(("inside", "name"), [("runs/small", "."), ("runs", "small/"), (".", "runs/small/")])
def test_a_run_is_found_by_its_folder_however_it_is_written(runs, monkeypatch, inside, name):
    monkeypatch.chdir(runs.parent / inside)
    run = opened(name)
    assert run.name == "small" and run.folder.resolve() == runs / "small"


@pytest.mark.parametrize("name", ["small", "small/"])
def test_a_run_is_found_by_its_name(runs, name):
    assert opened(name).name == "small"


def test_verify_holds_the_chain_against_a_head_that_was_noted(runs, capsys):
    chain = Chain(runs / "small" / "ledger" / "chain.jsonl")
    chain.append("run", {"name": "small"})
    noted = chain.head
    chain.append("more", {})
    assert main(["verify", "small"]) == 0
    assert chain.head in capsys.readouterr().out, "what is to be noted is printed whole"
    assert main(["verify", "small", "--head", noted.upper()]) == 0
    assert main(["verify", "small", "--head", "0" * 64]) == 4
    assert "does not hold the head" in capsys.readouterr().out
    assert main(["verify", "small", "--head", noted[:16]]) == 3
    assert "64 hexadecimal digits" in capsys.readouterr().err


def test_the_schema_takes_json_as_every_command_does(capsys):
    assert main(["schema", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["properties"]["training"]


def test_a_file_is_no_folder_of_runs(runs, capsys):
    Path("file").write_text("text")
    with pytest.raises(SeedstockError, match="not a folder"):
        opened("small", "file")
    assert main(["train", "quickstart", "--runs", "file"]) == 1
    assert "a file stands where a folder belongs" in capsys.readouterr().err
