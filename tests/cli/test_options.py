"""How a command line names recipes and runs."""

import argparse
from pathlib import Path

import pytest

from seedstock.cli import main
from seedstock.cli.options import open_run
from seedstock.errors import SeedstockError


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


def test_a_file_is_no_folder_of_runs(runs, capsys):
    Path("file").write_text("text")
    with pytest.raises(SeedstockError, match="not a folder"):
        opened("small", "file")
    assert main(["train", "quickstart", "--runs", "file"]) == 1
    assert "a file stands where a folder belongs" in capsys.readouterr().err
