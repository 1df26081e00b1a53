"""What ``seedstock corpus`` does besides building: a look at what the steps would do, and how two corpora differ."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from seedstock.cli import options as shared

USAGE = """seedstock corpus RECIPE [options]
       seedstock corpus RECIPE --sample 200
       seedstock corpus diff A B"""


def extend(command: argparse.ArgumentParser, build: Callable[[argparse.Namespace], None]) -> None:
    """Adds to the parser of ``corpus``; ``build`` is what it does without these options."""
    command.usage = USAGE
    command.epilog = "A and B are runs, their folders, corpus folders, or the first digits of a corpus in the store."
    command.add_argument("compared", nargs="*", metavar="A B", help="after the word diff: two runs or corpora")
    command.add_argument(
        "--sample",
        type=int,
        metavar="N",
        help="build nothing: draw about N documents and show what each step would do with them",
    )
    command.set_defaults(run=lambda options: _run(options, build))


def _run(options: argparse.Namespace, build: Callable[[argparse.Namespace], None]) -> None:
    from seedstock.errors import RecipeError

    if options.recipe == "diff" and options.compared:
        if len(options.compared) != 2:
            raise RecipeError("diff compares two corpora", where="corpus diff", fix="seedstock corpus diff A B")
        _diff(options)
    elif options.compared:
        raise RecipeError(
            "one recipe at a time", where=" ".join(options.compared), fix="to compare: seedstock corpus diff A B"
        )
    elif options.sample is not None:
        if not 1 <= options.sample <= 100_000:
            raise RecipeError(
                "a sample has 1 to 100,000 documents", where=f"--sample {options.sample}", fix="try --sample 200"
            )
        _sample(options)
    else:
        build(options)


def _sample(options: argparse.Namespace) -> None:
    from seedstock.corpus.preview import preview
    from seedstock.ledger.ids import project_key
    from seedstock.scorers import with_runs

    recipe = shared.load_recipe(options)
    config, _ = with_runs(recipe.corpus, options.runs, recipe.name)
    result = preview(
        recipe.sources,
        config,
        count=options.sample,
        seed=recipe.seed,
        key=project_key(),
        runs=options.runs,
        reporter=shared.reporter(options),
    )
    shared.show(options, result, lambda: _previewed(result))


def _diff(options: argparse.Namespace) -> None:
    from seedstock import corpus_views
    from seedstock.corpus.diff import diff

    first, second = (_folder(options, name) for name in options.compared)
    result: dict[str, Any] = diff(first, second)
    shared.show(options, result, lambda: corpus_views.compared(result))


def _previewed(result: dict[str, Any]) -> Any:
    from seedstock import corpus_views

    return corpus_views.previewed(result)


def _folder(options: argparse.Namespace, name: str) -> Any:
    """A corpus folder: of a run, by its name or folder; itself; or by the first digits of its digest in the store."""
    from pathlib import Path

    from seedstock.errors import DataError
    from seedstock.ledger import manifest

    path = Path(name)
    if manifest.is_sealed(path) and (path / "decisions").is_dir():
        return path
    run = path if (path / "recipe.yaml").is_file() else options.runs / name
    if (run / "recipe.yaml").is_file():
        from seedstock.runs import Run

        return Run.open(run.resolve().parent, run.resolve().name).stage_folder("corpus")
    stored = sorted(one.parent for one in (options.runs / ".store" / "corpus").glob("*/manifest.json"))
    found = [folder for folder in stored if folder.name.startswith(name)] if len(name) >= 4 else []
    if len(found) == 1:
        return found[0]
    runs = sorted(one.parent.name for one in options.runs.glob("*/recipe.yaml"))
    raise DataError(
        "several corpora begin so" if found else "there is no corpus of this name",
        where=name,
        fix=f"name a run ({', '.join(runs) or 'none there yet'}) or a corpus folder ({options.runs}/.store/corpus/…)",
    )
