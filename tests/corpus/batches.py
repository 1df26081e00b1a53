"""Batches of documents for tests, and the real texts that every machine has."""

import sysconfig
from functools import cache
from pathlib import Path

import pyarrow as pa


def documents(texts, **columns):
    """A record batch with the columns of documents/ that signals read; each keyword is a value or a list."""
    values = {
        "licence": None,
        "licence_evidence": None,
        "locator": "a.txt",
        "source": "s",
        "domain": "text",
        "meta": "{}",
    }
    values |= columns
    spread = {name: value if isinstance(value, list) else [value] * len(texts) for name, value in values.items()}
    arrays = {name: pa.array(value, pa.string()) for name, value in spread.items()}
    return pa.RecordBatch.from_pydict({"text": pa.array(texts, pa.large_string()), **arrays})


@cache
def library(limit: int = 3_000_000) -> list[str]:
    """Modules of the standard library, about ``limit`` bytes, tests left out."""
    root, found, size = Path(sysconfig.get_path("stdlib")), [], 0
    for path in sorted(root.rglob("*.py")):
        if {"site-packages", "test", "tests"} & set(path.relative_to(root).parts):
            continue
        text = path.read_bytes().decode(errors="ignore")
        found.append(text)
        size += len(text)
        if size > limit:
            break
    return found
