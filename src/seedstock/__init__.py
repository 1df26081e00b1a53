"""Seedstock grows base models: raw documents in; a pretrained model out, with the evidence of where it came from.

What the command line does is a function here, imported when first used::

    import seedstock

    recipe = seedstock.load_recipe("recipes/quickstart.yaml", ["training.steps=200"])
    run = seedstock.run(recipe, runs="runs")  # until="corpus", "shards", "training", … for its stages
    seedstock.trace_step(run, 100)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seedstock.progress import Reporter
    from seedstock.runs import Run

__version__ = "0.1.0"

_API: dict[str, str | tuple[str, str]] = {
    "Corpus": "seedstock.corpus.reader",
    "Tokenizer": "seedstock.inputs.tokenizers.tokenizer",
    "Shards": "seedstock.inputs.shards",
    "DataPlan": "seedstock.inputs.plan",
    "Loader": "seedstock.inputs.loader",
    "Run": "seedstock.pipeline",
    "run": "seedstock.pipeline",
    "resume": "seedstock.pipeline",
    "plan": "seedstock.planning.plan",
    "trace_step": ("seedstock.answers", "step"),
    "trace_document": ("seedstock.answers", "documents"),
    "trace_text": ("seedstock.answers", "text"),
    "nearest": "seedstock.answers",
    "doctor": "seedstock.answers",
    "verify": "seedstock.answers",
    "forget": "seedstock.answers",
    "generate": "seedstock.weights",
    "export": "seedstock.weights",
    "import_model": ("seedstock.weights", "import_folder"),
    "load_recipe": ("seedstock.recipe", "load"),
    "parse_recipe": ("seedstock.recipe", "parse"),
    "SeedstockError": "seedstock.errors",
}

__all__ = ["evaluate", "write_release", *_API]


def evaluate(run: Run, *, reporter: Reporter | None = None) -> Run:
    """Scores the newest checkpoint of a run once more."""
    from seedstock.pipeline import again

    return again(run, "evaluation", reporter=reporter)


def write_release(run: Run, *, reporter: Reporter | None = None) -> Run:
    """Writes the base model of a run and its papers once more."""
    from seedstock.pipeline import again

    return again(run, "release", reporter=reporter)


def __getattr__(name: str) -> Any:
    if name not in _API:
        raise AttributeError(f"module 'seedstock' has no attribute {name!r}")
    place = _API[name]
    module, attribute = place if isinstance(place, tuple) else (place, name)
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted([*globals(), *_API])
