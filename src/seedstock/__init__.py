"""Seedstock grows base models: raw documents in; a pretrained model out, with the evidence of where it came from.

Everything the command line does is a function here, imported when first used::

    import seedstock

    recipe = seedstock.load_recipe("recipes/quickstart.yaml", ["training.steps=200"])
    run = seedstock.run(recipe, runs="runs")
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_API = {
    "Corpus": "seedstock.corpus.reader",
    "Tokenizer": "seedstock.inputs.tokenizers.tokenizer",
    "Shards": "seedstock.inputs.shards",
    "DataPlan": "seedstock.inputs.plan",
    "Loader": "seedstock.inputs.loader",
    "Run": "seedstock.pipeline",
    "run": "seedstock.pipeline",
    "load_recipe": ("seedstock.recipe", "load"),
    "parse_recipe": ("seedstock.recipe", "parse"),
    "SeedstockError": "seedstock.errors",
}

__all__ = [*_API]


def __getattr__(name: str) -> Any:
    if name not in _API:
        raise AttributeError(f"module 'seedstock' has no attribute {name!r}")
    place = _API[name]
    module, attribute = place if isinstance(place, tuple) else (place, name)
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted([*globals(), *_API])
