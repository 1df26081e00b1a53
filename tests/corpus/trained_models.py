"""Small models, trained once for all tests that need one: modules of the standard library against their docstrings."""

import ast
import tempfile
from functools import cache
from pathlib import Path

from batches import library


@cache
def prose_and_code() -> tuple[list[str], list[str]]:
    """(docstrings, functions without them) of the standard library."""
    prose, code = [], []
    for text in library(2_000_000):
        tree = ast.parse(text)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module) and (said := ast.get_docstring(node)):
                prose.append(said)
                if isinstance(node, ast.FunctionDef):
                    node.body = node.body[1:] or [ast.Pass()]
                    code.append(ast.unparse(node))
    return [text for text in prose if len(text) > 80], [text for text in code if len(text) > 80]


@cache
def folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="models-"))


@cache
def classifier() -> str:
    """The folder of a classifier of docstrings."""
    from seedstock.corpus.classify import linear, train

    prose, code = prose_and_code()
    model, report = train.train(prose[::2][:600], code[::2][:600], labels=("code", "prose"), bits=16)
    linear.save(model, folder() / "prose", report)
    return str(folder() / "prose")


@cache
def perplexity() -> str:
    """The folder of an n-gram model of docstrings."""
    from seedstock.corpus.classify import kneser_ney

    kneser_ney.save(kneser_ney.train(prose_and_code()[0][::2]), folder() / "ngrams", {})
    return str(folder() / "ngrams")


def needed() -> dict[str, dict[str, str]]:
    """What the configuration of each kind of signal needs, where it needs a model."""
    asked = {"model": classifier()}
    return {"classifier": asked, "toxicity": asked, "perplexity": {"model": perplexity()}}
