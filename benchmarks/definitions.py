"""Functions and classes of three Python projects, each a document: small enough to begin with a tag of its own.

``write(FOLDER)`` makes ``algorithms.jsonl``, ``mpmath.jsonl`` and ``sympy.jsonl``, which recipes/alignment-style.yaml
reads. The first is of the data pack (SEEDSTOCK_DATA), the others PyTorch brings along.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import textwrap
from collections.abc import Iterator
from pathlib import Path

LEAST, MOST = 5, 40  # lines


def definitions(text: str) -> Iterator[str]:
    """Functions and classes at the margin, and the methods of classes that are longer than ``MOST`` lines, moved to it.

    A text that is no Python has none.
    """
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError):
        return
    lines = text.splitlines()
    waiting = list(reversed(body))
    while waiting:
        node = waiting.pop()
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        first = min([node.lineno, *(one.lineno for one in node.decorator_list)]) - 1
        last = node.end_lineno or node.lineno
        if isinstance(node, ast.ClassDef) and last - first > MOST:
            waiting += reversed(node.body)
        elif LEAST <= last - first <= MOST:
            yield textwrap.dedent("\n".join(lines[first:last])) + "\n"


def write(folder: Path) -> None:
    """A file for each project."""
    import zstandard

    from seedstock.ledger.ids import digest

    path = Path(os.environ["SEEDSTOCK_DATA"], "code/thealgorithms.jsonl.zst")
    with path.open("rb") as file:
        packed = zstandard.ZstdDecompressor().stream_reader(file).read().decode()
    projects = {"algorithms": ("MIT", [json.loads(line)["text"] for line in packed.splitlines()])}
    for name in ("mpmath", "sympy"):
        found = importlib.util.find_spec(name)
        if found is None or found.origin is None:
            raise SystemExit(f"{name} is not installed: pip install {name}")
        files = sorted(Path(found.origin).parent.rglob("*.py"))
        projects[name] = ("BSD-3-Clause", [one.read_text(encoding="utf-8", errors="replace") for one in files])
    folder.mkdir(parents=True, exist_ok=True)
    for name, (licence, texts) in projects.items():
        with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
            for text in dict.fromkeys(piece for whole in texts for piece in definitions(whole)):
                file.write(json.dumps({"id": digest(text), "text": text, "license": licence}) + "\n")
