"""The options that commands share, and how results are printed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


def common(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """``--runs`` and ``--json``."""
    command.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="the folder of runs (runs/)")
    command.add_argument("--json", action="store_true", help="print the result as one JSON object")
    return command


def recipe(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The options of commands that read a recipe."""
    command.add_argument("recipe", metavar="RECIPE", help="a recipe file, or the name of one that ships (quickstart)")
    command.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides", help="set any key of the recipe"
    )
    command.add_argument("--name", help="the run's name (the recipe's name)")
    return common(command)


def processes(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """``--processes`` and ``--profile``: how the training is done."""
    command.add_argument(
        "--processes", type=int, metavar="N", help="how many processes train together (one for each GPU; 1 without)"
    )
    command.add_argument(
        "--profile", action="store_true", help="write a profile of a few steps into the run's profile/"
    )
    return command


def run(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The options of commands that look at a run."""
    command.add_argument("name", metavar="RUN", help="the name of a run, or its folder")
    return common(command)


def recipe_path(name: str) -> Path:
    """A recipe file, or one that ships with the package."""
    from seedstock.errors import RecipeError, nearest

    path = Path(name)
    shipped = {file.stem: file for file in sorted((Path(__file__).parent.parent / "recipes").glob("*.yaml"))}
    if path.exists() or name not in shipped:
        if not path.exists():
            close = nearest(path.stem, shipped)
            raise RecipeError(
                "there is no such recipe",
                where=name,
                fix=f"name a file, or one that ships: {', '.join(shipped)}" + (f" ({close}?)" if close else ""),
            )
        return path
    return shipped[name]


def load_recipe(options: argparse.Namespace) -> Any:
    """The recipe that a command line names, with its overrides and its name."""
    from seedstock import recipe

    return recipe.load(recipe_path(options.recipe), options.overrides, name=options.name)


def open_run(options: argparse.Namespace) -> Any:
    """The run that a command line names: by its name in ``--runs``, or by its folder."""
    from seedstock.errors import SeedstockError
    from seedstock.pipeline import Run

    folder = Path(options.name).resolve()  # "." has no name of its own
    if (folder / "recipe.yaml").exists() or "/" in options.name.rstrip("/"):
        return Run.open(folder.parent, folder.name)
    if options.runs.exists() and not options.runs.is_dir():
        raise SeedstockError("not a folder", where=options.runs, fix="--runs names the folder that holds the runs")
    return Run.open(options.runs, options.name.rstrip("/"))


def reporter(options: argparse.Namespace) -> Any:
    """Progress on standard error; none of it is in the way of ``--json``."""
    from seedstock.cli.console import Console

    return Console(quiet=options.json)


def show(options: argparse.Namespace, result: Any, text: Any = None) -> None:
    """Prints a result: as JSON, or as what people read (a string, a rich renderable or a callable that makes one)."""
    if options.json:
        print(json.dumps(result, ensure_ascii=False, default=str))
        return
    shown = text() if callable(text) else text
    if isinstance(shown, str):
        print(shown)
    elif shown is not None:
        from seedstock.cli.console import terminal

        terminal().print(shown)
